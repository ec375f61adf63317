"""`malscan train` as the data person of a lab uses it."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
from conftest import Cli
from draw_cells import draw_labelled
from PIL import Image
from tensorflow.python.framework import config as tensorflow_config
from tiny_network import tiny_network

from malscan.cli import main
from malscan.model import load_model, load_seen_images
from malscan.networks import NETWORKS
from malscan.predictor import rebuild
from malscan.training.one_model import train_split
from malscan.training.recipe import PRESETS

QUICK = ("--epochs", "1", "--augment", "none", "--test-share", "0.25", "--validation-share", "0.25")
FILES = [
    "MODEL_CARD.md",
    "error_rates.safetensors",
    "history.csv",
    "history.png",
    "model.json",
    "samples.png",
    "seen.safetensors",
    "split.csv",
    "unlike.safetensors",
    "weights.safetensors",
]


def train(*args: object) -> None:
    """Run `malscan train` in this process and make sure that it does well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["malscan", "train", *map(str, args), "--quiet"])
        with pytest.raises(SystemExit) as stopped:
            main()
    assert not stopped.value.code


def metadata_of(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "model.json").read_text())
    return found


def card_of(model: Path) -> str:
    return (model / "MODEL_CARD.md").read_text()


def left_in(folder: Path) -> list[str]:
    """What lies beside the outputs, hidden or not; locks are always left."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def option_of_test_patients(folder: Path, *patients: str) -> tuple[str, Path]:
    """The option that names test patients, with a list of them."""
    file = folder / "patients.txt"
    file.write_text("".join(f"{patient}\n" for patient in patients))
    return "--test-patients", file


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 small drawn cells of 8 patients in two class folders; do not change them."""
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    draw_labelled(folder, 8, 24, seed=6, size=24)
    return folder


@pytest.fixture(scope="module")
def trained(cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for two epochs on drawn cells; do not change it."""
    out = tmp_path_factory.mktemp("models") / "first"
    train(cells, "--out", out, *QUICK, "--epochs", "2")
    return out


@pytest.fixture
def copied(cells: Path, tmp_path: Path) -> Path:
    """The drawn cells, to be changed."""
    shutil.copytree(cells, tmp_path / "cells")
    return tmp_path / "cells"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is built fast in place of `compact`, for what is not about networks."""
    monkeypatch.setitem(NETWORKS, "compact", tiny_network("compact"))


@pytest.fixture
def determinism() -> Iterator[None]:
    """Leaves TensorFlow as it was before a training with --deterministic."""
    yield
    tensorflow_config.disable_op_determinism()


class TestModelFolder:
    def test_it_holds_all_files_and_nothing_is_left_beside_it(self, trained: Path) -> None:
        assert sorted(path.name for path in trained.iterdir()) == FILES
        assert left_in(trained.parent) == ["first"]

    def test_the_history_has_both_parts_for_each_epoch(self, trained: Path) -> None:
        history = pd.read_csv(trained / "history.csv")
        assert list(history.columns) == [
            "epoch",
            "loss",
            "accuracy",
            "validation_loss",
            "validation_accuracy",
        ]
        assert list(history["epoch"]) == [1, 2]
        assert np.isfinite(history).all(axis=None)

    @pytest.mark.parametrize("name", ["history.png", "samples.png"])
    def test_the_pictures_open_and_are_not_blank(self, name: str, trained: Path) -> None:
        with Image.open(trained / name) as image:
            assert image.format == "PNG"
            assert np.asarray(image.convert("L")).std() > 5

    def test_no_patient_stands_in_two_parts_and_all_cells_are_used(self, trained: Path) -> None:
        split = metadata_of(trained)["split"]
        patients = [name for part in split.values() for name in part["patients"]]
        assert len(patients) == len(set(patients)) == 8
        assert sum(part["cells"] for part in split.values()) == 48

    def test_the_split_file_says_the_same_as_the_description(self, trained: Path) -> None:
        table = pd.read_csv(trained / "split.csv")
        for name, part in metadata_of(trained)["split"].items():
            of_part = table[table["part"] == name]
            assert len(of_part) == part["cells"]
            assert (of_part["label"] == "parasitized").sum() == part["parasitized"]
            assert set(of_part["patient"]) == set(part["patients"])

    def test_the_description_tells_how_it_came_about(self, trained: Path, cells: Path) -> None:
        metadata = metadata_of(trained)
        assert metadata["classes"] == ["parasitized", "uninfected"]
        assert metadata["preprocessing"] == {"size": 64, "kernel": "area", "rescale": 1 / 255}
        assert (metadata["threshold"], metadata["measured_on"]) == (0.5, "test")
        assert (metadata["epochs_run"], metadata["data"]["images"]) == (2, 48)
        assert metadata["kept_epoch"] == 2
        assert str(cells) in metadata["command"]
        assert set(metadata["versions"]) == {"malscan", "tensorflow", "keras"}
        assert metadata["left_out"] == {"unreadable": 0, "contradictory": 0, "copies": 0}

    @pytest.mark.slow
    @pytest.mark.parametrize("options", [("--keep", "best"), ("--patience", "3")])
    def test_the_epoch_of_least_validation_loss_is_kept_where_that_is_asked_for(
        self, options: tuple[str, ...], cli: Cli, cells: Path, tiny: None, tmp_path: Path
    ) -> None:
        fast = ("--learning-rate", "0.3", "--epochs", "6")
        result = cli("train", cells, "--out", tmp_path / "m", *QUICK, *fast, *options)
        assert result.code == 0, result.err
        history = pd.read_csv(tmp_path / "m" / "history.csv")
        best = history["epoch"][history["validation_loss"].argmin()]
        assert best < len(history)
        assert metadata_of(tmp_path / "m")["kept_epoch"] == best

    def test_it_knows_the_images_it_has_seen_by_patient(self, trained: Path) -> None:
        model = load_model(trained)
        seen = load_seen_images(trained, model)
        assert seen is not None
        split = model.metadata["split"]
        for part in ("train", "validation"):
            rows = [row for row in seen.rows() if row[1] == part]
            assert len({row[0] for row in rows}) == split[part]["cells"]
            assert {row[2] for row in rows} == set(split[part]["patients"])

    def test_the_card_quotes_figures_with_split_unit_and_interval(self, trained: Path) -> None:
        card = card_of(trained)
        figure = metadata_of(trained)["figures"]["accuracy"]
        row = f"| accuracy | {figure['value']:.4f} | {figure['low']:.4f} to {figure['high']:.4f} |"
        assert row in card
        assert "split unit: patient" in card
        assert "Research use only" in card

    def test_a_scan_gives_the_figures_that_training_measured(
        self, cli: Cli, trained: Path, cells: Path, tmp_path: Path
    ) -> None:
        table = pd.read_csv(trained / "split.csv")
        chosen = table[table["part"] == "test"]
        listing = tmp_path / "list.txt"
        listing.write_text("\n".join(f"{cells}/{name}" for name in chosen["path"]))

        cli("scan", "--files-from", listing, "--model", trained, "--out", tmp_path / "r.csv")

        read = pd.read_csv(tmp_path / "r.csv")
        assert len(read) == len(chosen)
        accuracy = (read["call"].to_numpy() == chosen["label"].to_numpy()).mean()
        assert accuracy == pytest.approx(metadata_of(trained)["figures"]["accuracy"]["value"])

    def test_the_environment_can_name_the_model(
        self, cli: Cli, trained: Path, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MALSCAN_MODEL", str(trained))
        cli("scan", slides, "--out", tmp_path / "r.json")
        model = json.loads((tmp_path / "r.json").read_text())["model"]
        assert (model["name"], model["sha256"]) == ("first", load_model(trained).sha256)

    @pytest.mark.usefixtures("tiny")
    @pytest.mark.slow
    def test_names_that_are_no_utf_8_do_not_spoil_it(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        data = tmp_path / "caf\udce9"
        shutil.copytree(cells, data)

        result = cli("train", data, "--out", tmp_path / "m", *QUICK)

        assert result.code == 0, result.err
        assert metadata_of(tmp_path / "m")["data"]["images"] == 48


class TestNotebook:
    @pytest.fixture(scope="class")
    def notebook(self, cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A model trained as the notebook did, with its Keras file beside it."""
        folder = tmp_path_factory.mktemp("notebook")
        preset = ("--preset", "notebook", "--epochs", "1", "--precision", "float32")
        train(cells, "--out", folder / "m", *preset, "--save-h5", folder / "m.h5")
        return folder / "m"

    @pytest.mark.slow
    def test_the_first_fifth_by_name_validates_and_none_tests(
        self, notebook: Path, cells: Path
    ) -> None:
        table = pd.read_csv(notebook / "split.csv")
        first = {
            f"{folder.name}/{name}"
            for folder in cells.iterdir()
            for name in sorted(path.name for path in folder.iterdir())[:4]
        }
        assert set(table[table["part"] == "validation"]["path"]) == first
        assert table["part"].value_counts().to_dict() == {"train": 40, "validation": 8}

    @pytest.mark.slow
    def test_the_folder_says_what_it_is(self, notebook: Path) -> None:
        metadata = metadata_of(notebook)
        assert sorted(path.name for path in notebook.iterdir()) == [
            name for name in FILES if name != "error_rates.safetensors"
        ]
        assert metadata["error_rates_sha256"] is None
        assert metadata["network"] == "baseline"
        assert (metadata["split_unit"], metadata["measured_on"]) == ("cell", "validation")
        assert metadata["threshold"] == 0.5
        assert metadata["preprocessing"]["kernel"] == "pillow-nearest"
        assert len(pd.read_csv(notebook / "history.csv")) == 1
        assert "split unit: cell" in card_of(notebook)
        assert "On the validation part, since there is no test part" in card_of(notebook)

    @pytest.mark.slow
    def test_the_keras_file_gives_the_softmax_of_the_model(
        self, notebook: Path, rng: np.random.Generator
    ) -> None:
        opened = keras.models.load_model(notebook.with_suffix(".h5"))
        network = rebuild(load_model(notebook))
        pixels = rng.random([4, 125, 125, 3], dtype=np.float32)
        assert opened.count_params() == 1_900_098
        np.testing.assert_allclose(opened(pixels), network(pixels), atol=1e-5)

    def test_an_existing_keras_file_is_kept_unless_forced(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "m.h5").write_text("precious")
        result = cli("train", cells, "--out", tmp_path / "m", "--save-h5", tmp_path / "m.h5")
        assert result.code == 1
        assert "m.h5 exists already. Name another, or give --force" in result.err
        assert left_in(tmp_path) == ["m.h5"]


@pytest.mark.usefixtures("tiny")
class TestSplits:
    @pytest.fixture
    def anonymous(self, cells: Path, tmp_path: Path) -> Path:
        """The drawn cells under names that tell no patient."""
        for folder in cells.iterdir():
            (tmp_path / "anonymous" / folder.name).mkdir(parents=True)
            for number, path in enumerate(sorted(folder.iterdir())):
                shutil.copy(path, tmp_path / "anonymous" / folder.name / f"cell_{number:02}.png")
        return tmp_path / "anonymous"

    def test_without_patients_a_split_by_patient_is_refused_with_advice(
        self, cli: Cli, anonymous: Path, tmp_path: Path
    ) -> None:
        result = cli("train", anonymous, "--out", tmp_path / "m", *QUICK)
        assert result.code == 1
        for advice in ("no patient known for", "--patient-folders", "--split cell"):
            assert advice in result.err
        assert left_in(tmp_path) == ["anonymous"]

    def test_without_patients_a_split_by_cell_works_and_the_card_says_so(
        self, cli: Cli, anonymous: Path, tmp_path: Path
    ) -> None:
        result = cli("train", anonymous, "--out", tmp_path / "m", *QUICK, "--split", "cell")

        assert result.code == 0, result.err
        metadata, card = metadata_of(tmp_path / "m"), card_of(tmp_path / "m")
        assert (metadata["split_unit"], metadata["interval_unit"]) == ("cell", "cell")
        assert metadata["error_rates_sha256"] is None
        assert metadata["patients"] == []
        assert "patients are not known, and may stand in several parts" in card
        assert "| train | unknown |" in card
        assert "single cells for the others, since patients are not known" in card

    @pytest.mark.slow
    def test_patients_are_found_by_folder(self, cli: Cli, cells: Path, tmp_path: Path) -> None:
        for path in cells.rglob("*.png"):
            folder = tmp_path / "data" / path.name.split("P")[0].split("thin")[0] / path.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / f"cell_{path.stem.rsplit('_', 1)[1]}.png")

        out = tmp_path / "m"
        result = cli("train", tmp_path / "data", "--out", out, *QUICK, "--patient-folders")

        assert result.code == 0, result.err
        parts = metadata_of(out)["split"].values()
        assert {name for part in parts for name in part["patients"]} == {
            f"C{i}" for i in range(1, 9)
        }

    def test_the_split_of_an_earlier_training_can_be_given_again(
        self, cli: Cli, trained: Path, copied: Path, tmp_path: Path
    ) -> None:
        file = trained / "split.csv"
        again = ("--epochs", "1", "--augment", "none", "--seed", "5", "--split-file", file)

        result = cli("train", copied, "--out", tmp_path / "m", *again)
        next(copied.rglob("*.png")).rename(copied / "Uninfected" / "C1_IMG_renamed.png")
        refused = cli("train", copied, "--out", tmp_path / "n", *again)

        assert result.code == 0, result.err
        assert (tmp_path / "m/split.csv").read_bytes() == file.read_bytes()
        assert metadata_of(tmp_path / "m")["split"] == metadata_of(trained)["split"]
        assert refused.code == 1
        assert "does not match the data: 1 images are not in it" in refused.err
        assert left_in(tmp_path) == ["cells", "m"]

    @pytest.mark.slow
    def test_named_test_patients_are_the_test_part(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        chosen = option_of_test_patients(tmp_path, "C2", "C4")
        result = cli("train", cells, "--out", tmp_path / "m", *QUICK, *chosen)
        assert result.code == 0, result.err
        assert metadata_of(tmp_path / "m")["split"]["test"]["patients"] == ["C2", "C4"]

    @pytest.mark.slow
    def test_any_name_of_a_folder_gives_a_model_that_loads(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        out = Path(os.fsdecode(os.fsencode(tmp_path) + b"/mod\xe8le" + b"-" * 220))
        result = cli("train", cells, "--out", out, *QUICK)
        assert result.code == 0, result.err
        assert load_model(out).name.startswith("mod\\xe8le---")

    def test_a_single_test_patient_gives_figures_without_interval(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        chosen = option_of_test_patients(tmp_path, "C2")
        result = cli("train", cells, "--out", tmp_path / "m", *QUICK, *chosen)
        assert result.code == 0, result.err
        assert metadata_of(tmp_path / "m")["figures"]["accuracy"]["low"] is None
        (line,) = [line for line in card_of(tmp_path / "m").splitlines() if "| accuracy" in line]
        assert line.endswith("| not defined |")

    def test_too_few_patients_for_the_split_are_told(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        data = tmp_path / "cells"
        for path in cells.rglob("C1P*.png"):
            target = data / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(path)

        result = cli("train", data, "--out", tmp_path / "m")

        assert result.code == 1
        assert "too few patients" in result.err


@pytest.mark.usefixtures("tiny")
class TestFolds:
    @pytest.mark.slow
    def test_each_patient_is_tested_once_and_a_killed_run_keeps_finished_folds(
        self, cli: Cli, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "cv"
        args = ("train", cells, "--out", out, "--folds", "2", "--epochs", "2")
        once: Callable[..., Any] = train_split

        def dies_after_its_first_epoch(*given: Any) -> Any:
            """Fold 2: what a kill in its second epoch leaves behind."""
            if given[0].out.name == "fold-2":

                def die(epoch: object) -> None:
                    raise KeyboardInterrupt

                *others, listener = given
                return once(*others, replace(listener, on_epoch=die))
            return once(*given)

        monkeypatch.setattr("malscan.cross_validate.train_split", dies_after_its_first_epoch)
        killed = cli(*args)
        kept = tmp_path / ".cv.malscan/folds/fold-1/model.json"
        first = kept.read_bytes()
        monkeypatch.setattr("malscan.cross_validate.train_split", once)
        resumed = cli(*args)

        assert killed.code == 130
        assert resumed.code == 0, resumed.err
        assert "fold 1 of 2: finished before" in resumed.err
        assert "Going on after epoch 1 of 2" in resumed.err
        assert (out / "fold-1/model.json").read_bytes() == first
        assert left_in(tmp_path) == ["cv"]
        self.check_folds(out)

    def check_folds(self, out: Path) -> None:
        assert sorted(path.name for path in out.iterdir()) == [
            "cross_validation.json",
            "fold-1",
            "fold-2",
            "folds.csv",
        ]
        record = json.loads((out / "cross_validation.json").read_text())
        tested = [name for fold in record["folds"] for name in fold["test_patients"]]
        assert sorted(tested) == [f"C{i}" for i in range(1, 9)]
        table = pd.read_csv(out / "folds.csv", index_col="fold")
        assert list(table.index) == ["1", "2", "mean", "standard deviation"]
        values = [fold["figures"]["accuracy"]["value"] for fold in record["folds"]]
        assert table["accuracy"].to_list() == pytest.approx(
            [*values, np.mean(values), np.std(values, ddof=1)], abs=1e-6
        )
        for name in ("fold-1", "fold-2"):
            assert sorted(path.name for path in (out / name).iterdir()) == FILES
            assert load_model(out / name).name == f"cv-{name}"

    def test_more_folds_than_patients_are_told(self, cli: Cli, cells: Path, tmp_path: Path) -> None:
        result = cli("train", cells, "--out", tmp_path / "cv", "--folds", "9")
        assert result.code == 1
        assert "patients" in result.err
        assert left_in(tmp_path) == []

    @pytest.mark.slow
    def test_finished_folds_of_another_threshold_goal_are_not_kept(
        self, cli: Cli, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        once: Callable[..., Any] = train_split

        def dies_in_fold_2(*given: Any) -> Any:
            if given[0].out.name == "fold-2":
                raise KeyboardInterrupt
            return once(*given)

        args = ("train", cells, "--out", tmp_path / "cv", "--folds", "2", "--epochs", "1")
        monkeypatch.setattr("malscan.cross_validate.train_split", dies_in_fold_2)
        cli(*args)
        monkeypatch.setattr("malscan.cross_validate.train_split", once)
        result = cli(*args, "--threshold-for", "sensitivity=0.3")

        assert result.code == 0, result.err
        assert "Going on after epoch 1 of 1" in result.err, "fold 1 was trained again"
        for name in ("fold-1", "fold-2"):
            chosen = metadata_of(tmp_path / "cv" / name)["threshold_chosen"]
            assert chosen == "for sensitivity=0.3 on the validation part"

    def test_starting_from_what_is_no_model_is_told(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "x").mkdir()
        args = ("--folds", "2", "--from", tmp_path / "x")
        result = cli("train", cells, "--out", tmp_path / "cv", *args)
        assert result.code == 1
        assert "not a malscan model" in result.err


class TestStartingFromAModel:
    def test_the_card_and_the_seen_images_tell_of_it(
        self, cli: Cli, trained: Path, tmp_path: Path
    ) -> None:
        own = tmp_path / "own"
        draw_labelled(own, 8, 24, seed=77, size=24)

        result = cli("train", own, "--out", tmp_path / "m", *QUICK, "--from", trained)

        assert result.code == 0, result.err
        model, source = load_model(tmp_path / "m"), load_model(trained)
        assert model.metadata["started_from"] == {"name": "first", "sha256": source.sha256}
        assert f"Started from the model first ({source.sha256[:12]})" in card_of(tmp_path / "m")
        adapt = PRESETS["adapt"].recipe
        assert model.metadata["recipe"]["learning_rate"] == adapt.learning_rate
        seen, before = load_seen_images(tmp_path / "m", model), load_seen_images(trained, source)
        assert seen is not None
        assert before is not None
        assert len(seen.hashes) > len(before.hashes)
        assert {(digest, part, f"first/{name}") for digest, part, name in before.rows()} < set(
            seen.rows()
        )

    def test_a_model_that_has_seen_the_test_cells_is_no_start(
        self, cli: Cli, cells: Path, trained: Path, tmp_path: Path
    ) -> None:
        seen = metadata_of(trained)["split"]["train"]["patients"]
        again = ("--from", trained, *option_of_test_patients(tmp_path, *seen[:2]))
        result = cli("train", cells, "--out", tmp_path / "m", *QUICK, *again)
        assert result.code == 1
        assert f"--from {trained.name} has seen " in result.err
        assert "cells of the test part" in result.err
        assert left_in(tmp_path) == ["patients.txt"]

    def test_a_model_that_has_learnt_from_the_validation_cells_is_no_start(
        self, cli: Cli, cells: Path, trained: Path, tmp_path: Path
    ) -> None:
        table = pd.read_csv(trained / "split.csv")
        table["part"] = (
            table["part"].map({"train": "validation", "validation": "train"}).fillna("test")
        )
        table.to_csv(tmp_path / "split.csv", index=False)
        again = ("--from", trained, "--split-file", tmp_path / "split.csv", "--epochs", "1")
        result = cli("train", cells, "--out", tmp_path / "m", *again, "--augment", "none")
        assert result.code == 1
        learnt = metadata_of(trained)["split"]["train"]["cells"]
        assert f"{trained.name} was trained on {learnt} cells of the validation part" in result.err

    def test_the_network_cannot_be_chosen_besides(
        self, cli: Cli, cells: Path, trained: Path, tmp_path: Path
    ) -> None:
        args = ("--from", trained, "--network", "compact")
        result = cli("train", cells, "--out", tmp_path / "m", *args)
        assert result.code == 2
        assert "--network and --from exclude each other" in result.err

    def test_a_model_that_is_not_there_is_wrong_usage(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        result = cli("train", cells, "--out", tmp_path / "m", "--from", tmp_path / "nowhere")
        assert result.code == 2
        assert "no such model" in result.err


@pytest.mark.usefixtures("tiny")
class TestWrongUsage:
    @pytest.mark.parametrize(("option", "name"), [("--save-h5", "m.h5"), ("--tensorboard", "tb")])
    def test_what_would_go_with_the_folder_that_the_model_replaces(
        self, option: str, name: str, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        result = cli("train", cells, "--out", tmp_path / "m", option, tmp_path / "m" / name)
        assert result.code == 2
        assert f"{name} lies in the model folder: name another" in result.err
        assert left_in(tmp_path) == []

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--weight-decay", "0.1", "--optimizer", "rmsprop"), "--weight-decay goes with"),
            (("--weight-decay", "0.1", "--preset", "notebook"), "--weight-decay goes with"),
            (("--split-file", __file__, "--test-share", "0.3"), "leave --test-share and"),
            (("--split-file", __file__, "--validation-share", "0.3"), "leave --test-share and"),
        ],
        ids=["decay of RMSprop", "decay of the notebook", "test share", "validation share"],
    )
    def test_what_would_have_no_effect_is_wrong_usage(
        self, options: tuple[str, ...], message: str, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        result = cli("train", cells, "--out", tmp_path / "m", *options)
        assert result.code == 2
        assert message in result.err


class TestThreshold:
    @pytest.mark.slow
    def test_it_is_chosen_on_validation_for_a_goal(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        goal = ("--threshold-for", "sensitivity=0.9")
        result = cli("train", cells, "--out", tmp_path / "m", *QUICK, *goal)

        assert result.code == 0, result.err
        metadata = metadata_of(tmp_path / "m")
        assert metadata["threshold_chosen"] == "for sensitivity=0.9 on the validation part"
        assert f"Threshold {metadata['threshold']} (for sensitivity=0.9" in card_of(tmp_path / "m")
        rates = load_model(tmp_path / "m").error_rates
        assert rates is not None
        assert np.isclose(rates.thresholds, metadata["threshold"]).any()

    def test_a_goal_that_is_none_is_wrong_usage(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        result = cli("train", cells, "--out", tmp_path / "m", "--threshold-for", "auc=0.9")
        assert result.code == 2
        assert "--threshold-for 'auc=0.9' is not understood" in result.err


class TestDoubtBand:
    def test_a_few_validation_cells_give_none_and_the_reason(self, trained: Path) -> None:
        metadata = metadata_of(trained)
        few = f"{metadata['split']['validation']['cells']} validation cells are too few"
        assert metadata["uncertain"] is None
        assert metadata["uncertain_chosen"].startswith(few)
        assert f"No doubt band: {few}" in card_of(trained)
        assert load_model(trained).uncertain is None

    def test_it_is_chosen_on_the_validation_cells_and_kept(
        self, cli: Cli, cells: Path, tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[Any] = []

        def recommend(*args: Any) -> tuple[tuple[float, float], str]:
            given.extend(args)
            return (0.3, 0.85), "drawn"

        monkeypatch.setattr("malscan.training.one_model.recommend_band", recommend)
        result = cli("train", cells, "--out", tmp_path / "m", *QUICK)

        assert result.code == 0, result.err
        metadata, card = metadata_of(tmp_path / "m"), card_of(tmp_path / "m")
        probability, positive, _, threshold = given
        validation = metadata["split"]["validation"]
        assert len(probability) == validation["cells"]
        assert positive.sum() == validation["parasitized"]
        assert threshold == metadata["threshold"]
        assert metadata["uncertain"] == [0.3, 0.85]
        assert "uncertain from 0.3 on and below 0.85 (drawn)" in card
        assert load_model(tmp_path / "m").uncertain == (0.3, 0.85)


@pytest.mark.usefixtures("tiny")
class TestBadData:
    def test_unreadable_images_are_left_out_named_and_exit_3(
        self, cli: Cli, copied: Path, tmp_path: Path
    ) -> None:
        broken = min((copied / "Parasitized").iterdir())
        broken.write_bytes(broken.read_bytes()[:100])

        result = cli("train", copied, "--out", tmp_path / "m", *QUICK)

        assert result.code == 3
        assert broken.name in result.err
        assert metadata_of(tmp_path / "m")["left_out"]["unreadable"] == 1
        assert "1 images could not be read" in card_of(tmp_path / "m")

    @pytest.mark.slow
    def test_too_many_unreadable_images_stop_the_training_unless_allowed(
        self, cli: Cli, copied: Path, tmp_path: Path
    ) -> None:
        for path in sorted((copied / "Uninfected").iterdir())[:3]:
            path.write_bytes(b"")

        result = cli("train", copied, "--out", tmp_path / "m", *QUICK)
        left = left_in(tmp_path)
        allowed = cli("train", copied, "--out", tmp_path / "m", *QUICK, "--allow-failed")

        assert result.code == 1
        assert "3 of 48 images cannot be read" in result.err
        assert "--allow-failed" in result.err
        assert left == ["cells"]
        assert allowed.code == 3
        assert metadata_of(tmp_path / "m")["left_out"]["unreadable"] == 3

    def test_a_part_of_which_nothing_can_be_read_is_told(
        self, cli: Cli, trained: Path, copied: Path, tmp_path: Path
    ) -> None:
        table = pd.read_csv(trained / "split.csv")
        for name in table[table["part"] == "validation"]["path"]:
            (copied / name).write_bytes(b"")
        again = ("--split-file", trained / "split.csv", "--allow-failed", "--epochs", "1")

        result = cli("train", copied, "--out", tmp_path / "m", *again)

        assert result.code == 1
        assert "the validation part" in result.err

    @pytest.mark.slow
    def test_a_missing_image_of_a_table_is_an_unreadable_one(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        rows = [
            f"{path},{path.parent.name},{path.name.split('P')[0].split('thin')[0]}"
            for path in sorted(cells.rglob("*.png"))
        ]
        table = tmp_path / "cells.csv"
        table.write_text("\n".join(["path,label,patient", *rows, "gone.png,healthy,C1"]))

        result = cli("train", table, "--out", tmp_path / "m", *QUICK)

        assert result.code == 3, result.err
        assert f"left out {tmp_path}/gone.png: no such file" in result.err.replace("\n", " ")
        assert metadata_of(tmp_path / "m")["data"]["images"] == 49

    def test_a_missing_class_is_told(self, cli: Cli, copied: Path, tmp_path: Path) -> None:
        shutil.rmtree(copied / "Parasitized")
        result = cli("train", copied, "--out", tmp_path / "m")
        assert result.code == 1
        assert "no parasitized cells" in result.err
        assert "Folders there: Uninfected." in result.err.replace("\n", " ")

    def test_an_empty_class_is_told(self, cli: Cli, copied: Path, tmp_path: Path) -> None:
        for path in (copied / "Uninfected").iterdir():
            path.unlink()
        result = cli("train", copied, "--out", tmp_path / "m")
        assert result.code == 1
        assert "no uninfected cells" in result.err

    @pytest.mark.slow
    def test_what_is_left_out_of_the_training_is_told(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        data = tmp_path / "cell_images"
        shutil.copytree(cells, data)
        shutil.copytree(cells, data / "cell_images")
        shutil.copy(next(cells.rglob("*.png")), data / "stray.png")

        result = cli("train", data, "--out", tmp_path / "m", *QUICK)

        assert result.code == 0
        assert "it repeats the class folders of its parent" in result.err
        assert "left out 1 images that lie in no class folder" in result.err
        assert metadata_of(tmp_path / "m")["data"]["images"] == 48

    def test_copies_of_test_cells_and_contradictions_are_left_out_and_counted(
        self, cli: Cli, trained: Path, copied: Path, tmp_path: Path
    ) -> None:
        table = pd.read_csv(trained / "split.csv")
        paths = {
            (part, label): rows["path"].to_list()
            for (part, label), rows in table.groupby(["part", "label"])
        }
        train_cells, test_cells = paths["train", "parasitized"], paths["test", "parasitized"]
        copy, contradiction = train_cells[0], train_cells[1]
        shutil.copy(copied / test_cells[0], copied / copy)
        with Image.open(copied / paths["train", "uninfected"][0]) as image:
            # The same pixels in other bytes.
            image.save(copied / contradiction, compress_level=0)
        again = ("--split-file", trained / "split.csv", "--epochs", "1")

        result = cli("train", copied, "--out", tmp_path / "m", *again)

        assert result.code == 0, result.err
        metadata, card = metadata_of(tmp_path / "m"), card_of(tmp_path / "m")
        assert metadata["left_out"] == {"unreadable": 0, "contradictory": 2, "copies": 1}
        before = metadata_of(trained)["split"]
        assert metadata["split"]["train"]["cells"] == before["train"]["cells"] - 3
        assert metadata["split"]["test"] == before["test"]
        assert "2 had the pixels of an image of the other class, 1 those of an image of a l" in card
        assert f"left out 1 images whose pixels stand in a later part, too, such as {copied}" in (
            result.err
        )
        assert "the same pixels have both labels" in result.err
        assert contradiction in result.err

    @pytest.mark.slow
    def test_a_streamed_image_that_vanishes_in_mid_training_is_told(
        self, cli: Cli, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from malscan.cli.train_display import TrainDisplay

        victim = next((copied / "Uninfected").iterdir())
        monkeypatch.setattr(TrainDisplay, "_epoch", lambda self, epoch: victim.unlink())
        args = ("--epochs", "3", "--split", "cell", "--cache", "none", "--batch-size", "8")

        result = cli("train", copied, "--out", tmp_path / "m", *args)

        assert result.code == 1
        assert f"{victim} could be read at first and cannot be now: no such file" in result.err
        assert left_in(tmp_path) == [".m.malscan", "cells"]


@pytest.mark.usefixtures("tiny")
def test_a_loss_that_is_no_number_is_told(cli: Cli, cells: Path, tmp_path: Path) -> None:
    rate = ("--learning-rate", "1e30", "--epochs", "3")
    result = cli("train", cells, "--out", tmp_path / "m", *QUICK, *rate)

    assert result.code == 1
    assert "the loss is not a number in epoch" in result.err
    assert "--learning-rate" in result.err
    assert not (tmp_path / "m").exists()


@pytest.mark.usefixtures("tiny")
class TestOutput:
    @pytest.mark.slow
    def test_an_existing_model_is_kept_unless_forced(
        self, cli: Cli, trained: Path, cells: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "m"
        shutil.copytree(trained, out)
        before = (out / "model.json").read_bytes()

        refused = cli("train", cells, "--out", out, *QUICK)
        kept = (out / "model.json").read_bytes()
        forced = cli("train", cells, "--out", out, *QUICK, "--force", "--name", "second")

        assert (refused.code, kept) == (1, before)
        assert "--force" in refused.err
        assert forced.code == 0
        assert load_model(out).name == "second"
        assert left_in(tmp_path) == ["m"]

    def test_force_replaces_nothing_but_a_model(
        self, cli: Cli, copied: Path, tmp_path: Path
    ) -> None:
        thesis = tmp_path / "thesis"
        thesis.mkdir()
        (thesis / "chapter.txt").write_text("years of work")
        (thesis / "model.json").write_text('{"format": "layers-model"}')

        for target in (copied, thesis, tmp_path, thesis / "chapter.txt"):
            result = cli("train", copied, "--out", target, "--force", *QUICK)
            assert (result.code, "is no model" in result.err) == (1, True), result.err

        assert (thesis / "chapter.txt").read_text() == "years of work"
        assert len(list(copied.rglob("*.png"))) == 48

    def test_two_trainings_of_one_model_are_kept_apart(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        with filelock.FileLock(tmp_path / ".m.lock"):
            result = cli("train", cells, "--out", tmp_path / "m", *QUICK)
        assert result.code == 75
        assert "another run is writing" in result.err
        assert left_in(tmp_path) == []

    @pytest.mark.slow
    @pytest.mark.fault("a full disk")
    def test_a_full_disk_at_the_end_keeps_the_training(
        self, cli: Cli, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        args = ("train", cells, "--out", tmp_path / "m", *QUICK, "--save-h5", tmp_path / "m.h5")

        def full(*args: object) -> bytes:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("malscan.training.folder.history_png", full)
            failed = cli(*args)
        left = left_in(tmp_path)
        resumed = cli(*args)

        assert failed.code == 1
        assert "cannot write" in failed.err
        assert "No space left on device" in failed.err
        assert "the same command goes on" in failed.err
        assert [name for name in left if name != "m.h5"] == [".m.malscan"]
        assert resumed.code == 0, resumed.err
        assert "Going on after epoch 1 of 1" in resumed.err
        assert left_in(tmp_path) == ["m", "m.h5"]

    @pytest.mark.slow
    def test_quiet_says_nothing_and_the_epochs_are_told_otherwise(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        quiet = cli("train", cells, "--out", tmp_path / "a", *QUICK, "--quiet")
        told = cli("train", cells, "--out", tmp_path / "b", *QUICK)

        assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
        assert told.out == ""
        for text in ("epoch 1: loss ", "probabilities", "sensitivity", "Research use only"):
            assert text in told.err

    @pytest.mark.slow
    def test_tensorboard_gets_events_of_both_parts(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        events = ("--tensorboard", tmp_path / "events")
        assert cli("train", cells, "--out", tmp_path / "m", *QUICK, *events).code == 0
        for part in ("train", "validation"):
            assert next((tmp_path / "events" / part).iterdir()).stat().st_size > 100

    @pytest.mark.slow
    def test_a_file_in_the_place_of_tensorboard_is_told_and_the_epoch_kept(
        self, cli: Cli, cells: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "events").write_text("notes")
        events = ("--tensorboard", tmp_path / "events")
        refused = cli("train", cells, "--out", tmp_path / "m", *QUICK, *events)
        assert refused.code == 1
        assert f"cannot write --tensorboard {tmp_path / 'events'}: " in refused.err

        result = cli("train", cells, "--out", tmp_path / "m", *QUICK)
        assert result.code == 0, result.err
        assert "Going on after epoch 1 of 1" in result.err


@pytest.mark.slow
def test_same_seed_same_weights_whatever_the_cache_and_another_seed_others(
    cli: Cli, cells: Path, trained: Path, tmp_path: Path, determinism: None
) -> None:
    def weights(name: str, *args: object) -> bytes:
        # The split of the seed is left out of it: only the training is to differ.
        fixed = ("--split-file", trained / "split.csv", "--epochs", "2", "--batch-size", "16")
        result = cli("train", cells, "--out", tmp_path / name, *fixed, "--deterministic", *args)
        assert result.code == 0, result.err
        assert metadata_of(tmp_path / name)["machine"]["deterministic"]
        return (tmp_path / name / "weights.safetensors").read_bytes()

    first = weights("memory", "--seed", 3, "--cache", "memory")
    assert weights("disk", "--seed", 3, "--cache", "disk") == first
    assert weights("none", "--seed", 3, "--cache", "none") == first
    assert weights("other", "--seed", 4, "--cache", "memory") != first
    assert left_in(tmp_path) == ["disk", "memory", "none", "other"]
