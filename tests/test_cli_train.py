"""`malscan train` as the data person of a lab uses it."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli, command

from malscan.model import load_model

QUICK = ("--epochs", "1", "--test-share", "0.25", "--validation-share", "0.25")


@pytest.fixture(scope="module")
def trained(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for one epoch on drawn cells."""
    out = tmp_path_factory.mktemp("models") / "first"
    subprocess.run(command("train", labelled, "--out", out, *QUICK, "--quiet"), check=True)
    return out


def test_training_leaves_a_whole_model_folder(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == [
        "MODEL_CARD.md",
        "error_rates.safetensors",
        "history.csv",
        "model.json",
        "weights.safetensors",
    ]
    assert len(pd.read_csv(trained / "history.csv")) == 1
    assert [path.name for path in trained.parent.iterdir() if ".partial" in path.name] == []


def test_no_patient_stands_in_two_parts_and_all_cells_are_used(trained: Path) -> None:
    split = json.loads((trained / "model.json").read_text())["split"]

    patients = [name for part in split.values() for name in part["patients"]]
    assert len(patients) == len(set(patients)) == 12
    assert sum(part["cells"] for part in split.values()) == 240


def test_the_card_quotes_figures_with_split_unit_and_interval(trained: Path) -> None:
    card = (trained / "MODEL_CARD.md").read_text()
    figures = json.loads((trained / "model.json").read_text())["test_figures"]

    assert "split unit: patient" in card
    assert "Research use only" in card
    row = f"| accuracy | {figures['accuracy']['value']:.4f} | {figures['accuracy']['low']:.4f} to"
    assert row in card


def test_a_scan_gives_the_figures_that_training_measured(
    cli: Cli, trained: Path, labelled: Path, tmp_path: Path
) -> None:
    metadata = json.loads((trained / "model.json").read_text())
    listing = tmp_path / "list.txt"
    chosen = [
        path
        for path in sorted(labelled.rglob("*.png"))
        if path.name.split("P")[0].split("thin")[0] in metadata["split"]["test"]["patients"]
    ]
    listing.write_text("\n".join(map(str, chosen)))

    cli("scan", "--files-from", listing, "--model", trained, "--out", tmp_path / "r.csv")

    read = pd.read_csv(tmp_path / "r.csv")
    truth = np.array([path.parent.name.lower() for path in chosen])
    assert len(read) == metadata["split"]["test"]["cells"]
    assert (read["call"] == truth).mean() == pytest.approx(
        metadata["test_figures"]["accuracy"]["value"]
    )


def test_the_environment_can_name_the_model(
    cli: Cli, trained: Path, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALSCAN_MODEL", str(trained))

    cli("scan", slides, "--out", tmp_path / "r.json")

    model = json.loads((tmp_path / "r.json").read_text())["model"]
    assert (model["name"], model["sha256"]) == ("first", load_model(trained).sha256)


def test_unreadable_images_are_left_out_named_and_exit_3(
    cli: Cli, labelled: Path, tmp_path: Path
) -> None:
    data = tmp_path / "cells"
    shutil.copytree(labelled, data)
    broken = sorted((data / "Parasitized").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:100])

    result = cli("train", data, "--out", tmp_path / "m", *QUICK)

    assert result.code == 3
    assert broken.name in result.err
    assert json.loads((tmp_path / "m/model.json").read_text())["failed"] == 1
    assert "1 images could not be read" in (tmp_path / "m/MODEL_CARD.md").read_text()


def test_too_many_unreadable_images_stop_the_training(
    cli: Cli, labelled: Path, tmp_path: Path
) -> None:
    data = tmp_path / "cells"
    shutil.copytree(labelled, data)
    for path in sorted((data / "Parasitized").iterdir())[:20]:
        path.write_bytes(b"")

    result = cli("train", data, "--out", tmp_path / "m", *QUICK)

    assert result.code == 1
    assert "20 of 240 images cannot be read" in result.err
    assert not (tmp_path / "m").exists()


def test_an_existing_model_is_kept_unless_forced(
    cli: Cli, trained: Path, labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    shutil.copytree(trained, out)
    before = (out / "model.json").read_bytes()

    refused = cli("train", labelled, "--out", out, *QUICK)
    kept = (out / "model.json").read_bytes()
    forced = cli("train", labelled, "--out", out, *QUICK, "--force", "--name", "second")

    assert (refused.code, kept) == (1, before)
    assert "--force" in refused.err
    assert forced.code == 0
    assert load_model(out).name == "second"


def test_a_missing_class_is_told(cli: Cli, labelled: Path, tmp_path: Path) -> None:
    shutil.copytree(labelled / "Uninfected", tmp_path / "cells/Uninfected")

    result = cli("train", tmp_path / "cells", "--out", tmp_path / "m")

    assert result.code == 1
    assert "no parasitized cells" in result.err


def test_too_few_patients_for_the_split_are_told(cli: Cli, labelled: Path, tmp_path: Path) -> None:
    data = tmp_path / "cells"
    for path in labelled.rglob("C1P*.png"):
        target = data / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(path)

    result = cli("train", data, "--out", tmp_path / "m")

    assert result.code == 1
    assert "too few patients" in result.err


def test_a_loss_that_is_no_number_is_told(cli: Cli, labelled: Path, tmp_path: Path) -> None:
    result = cli("train", labelled, "--out", tmp_path / "m", *QUICK, "--learning-rate", "1e30")

    assert result.code == 1
    assert "--learning-rate" in result.err
    assert not (tmp_path / "m").exists()


def test_an_interrupted_training_leaves_no_model(labelled: Path, tmp_path: Path) -> None:
    args = ("train", labelled, "--out", tmp_path / "m", "--epochs", "500")
    with subprocess.Popen(command(*args), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 180
        while "epoch 1:" not in process.stderr.readline():
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [".m.lock"]


def test_force_replaces_nothing_but_a_model(cli: Cli, labelled: Path, tmp_path: Path) -> None:
    data = tmp_path / "cells"
    shutil.copytree(labelled, data)
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years of work")

    for target, message in ((data, "is no model"), (thesis, "is no model"), (tmp_path, "no model")):
        result = cli("train", data, "--out", target, "--force", *QUICK)
        assert (result.code, message in result.err) == (1, True), result.err

    assert (thesis / "chapter.txt").read_text() == "years of work"
    assert len(list(data.rglob("*.png"))) == 240


def test_what_is_left_out_of_the_training_is_told(cli: Cli, labelled: Path, tmp_path: Path) -> None:
    data = tmp_path / "cell_images"
    shutil.copytree(labelled, data)
    shutil.copytree(labelled, data / "cell_images")
    shutil.copy(next(labelled.rglob("*.png")), data / "stray.png")

    result = cli("train", data, "--out", tmp_path / "m", *QUICK)

    assert result.code == 0
    assert "it repeats the class folders of its parent" in result.err
    assert "left out 1 images that lie in no class folder" in result.err
    split = json.loads((tmp_path / "m/model.json").read_text())["split"]
    assert sum(part["cells"] for part in split.values()) == 240
