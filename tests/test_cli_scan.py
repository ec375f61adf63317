"""`malscan scan` as a technician and a cron job use it."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import keras
import numpy as np
import pandas as pd
import pytest
from conftest import Cli, command, files_no_larger_than
from draw_cells import draw_cell
from PIL import Image

import malscan
from malscan.atomic import locked
from malscan.model import EMBEDDED
from malscan.scanning.counts import Counts

SCHEMA = Path(malscan.__file__).parent / "schemas" / "scan-1.schema.json"


def rows_of(report: Path) -> list[dict[str, str]]:
    with report.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def damaged(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A slide of four cells, one of them truncated."""
    slide = tmp_path / "slide"
    slide.mkdir()
    for number in range(4):
        draw_cell(rng, number % 2 == 0, size=60).save(slide / f"{number}.png")
    truncate(slide / "2.png")
    return slide


def links(source: Path, folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06}.png").hardlink_to(source)
    return folder


def test_a_report_has_one_row_for_each_image_in_order(
    cli: Cli, slides: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"

    result = cli("scan", slides, "--out", report)

    assert result.code == 0, result.err
    expected = sorted(str(path) for path in slides.rglob("*.png"))
    rows = rows_of(report)
    assert [row["path"] for row in rows] == expected
    assert {row["slide"] for row in rows} == {"s1", "s2", "s3"}
    assert all(row["status"] == "ok" and 0 <= float(row["probability"]) <= 1 for row in rows)


def test_the_embedded_model_calls_drawn_cells_right(cli: Cli, slides: Path, tmp_path: Path) -> None:
    cli("scan", slides, "--out", tmp_path / "report.csv")

    summary = pd.read_csv(tmp_path / "report.summary.csv", index_col="slide")
    assert summary["parasitized"].to_dict() == {"s1": 3, "s2": 0, "s3": 5, "TOTAL": 8}
    assert summary["images"].to_dict() == {"s1": 8, "s2": 8, "s3": 8, "TOTAL": 24}


def test_csv_and_json_of_one_scan_say_the_same(cli: Cli, slides: Path, tmp_path: Path) -> None:
    report, document = tmp_path / "report.csv", tmp_path / "report.json"

    cli("scan", slides, "--out", report, "--out", document)

    images = json.loads(document.read_text())["images"]
    rows = rows_of(report)
    assert [image["path"] for image in images] == [row["path"] for row in rows]
    assert [image["call"] for image in images] == [row["call"] for row in rows]
    assert [f"{image['probability']:.6f}" for image in images] == [
        row["probability"] for row in rows
    ]


def test_the_same_scan_gives_the_same_bytes(cli: Cli, slides: Path, tmp_path: Path) -> None:
    names = ("report.csv", "report.summary.csv", "report.json")
    written = []
    for run in ("one", "two"):
        folder = tmp_path / run
        folder.mkdir()
        cli("scan", slides, "--out", folder / names[0], "--out", folder / names[2])
        written.append([(folder / name).read_bytes() for name in names])

    assert written[0] == written[1]


def test_a_probability_does_not_depend_on_batch_size_or_neighbours(
    cli: Cli, slides: Path, tmp_path: Path
) -> None:
    by_size = []
    for size in (1, 7, 64):
        report = tmp_path / f"{size}.csv"
        cli("scan", slides, "--out", report, "--batch-size", size)
        by_size.append([float(row["probability"]) for row in rows_of(report)])

    assert np.abs(np.array(by_size) - by_size[0]).max() <= 1e-5 + 1e-6


def test_the_run_record_lies_beside_the_report_and_counts(
    cli: Cli, damaged: Path, tmp_path: Path
) -> None:
    (damaged / "Thumbs.db").write_bytes(b"x")

    cli("scan", damaged, "--out", tmp_path / "report.csv")

    record = json.loads((tmp_path / "report.csv.run.json").read_text())
    counts = {key: record[key] for key in ("images", "computed", "reused", "failed", "skipped")}
    assert counts == {"images": 4, "computed": 4, "reused": 0, "failed": 1, "skipped": 1}


def test_an_unreadable_image_is_a_row_with_a_reason_and_exit_3(
    cli: Cli, damaged: Path, tmp_path: Path
) -> None:
    result = cli("scan", damaged, "--out", tmp_path / "report.csv")

    assert result.code == 3
    assert "1 images could not be read" in result.err
    failed = rows_of(tmp_path / "report.csv")[2]
    assert (failed["status"], failed["call"], failed["probability"]) == ("failed", "", "")
    assert "truncated" in failed["error"]


def test_keep_going_exits_0_all_the_same(cli: Cli, damaged: Path, tmp_path: Path) -> None:
    assert cli("scan", damaged, "--out", tmp_path / "r.csv", "--keep-going").code == 0


def test_fail_on_failed_stops_and_writes_no_report(cli: Cli, damaged: Path, tmp_path: Path) -> None:
    result = cli("scan", damaged, "--out", tmp_path / "r.csv", "--fail-on-failed")

    assert result.code == 1
    assert "2.png" in result.err
    assert not (tmp_path / "r.csv").exists()


def test_rows_can_go_to_stdout_alone(
    cli: Cli, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = cli("scan", slides / "s1", "--out", "-", "--quiet")

    assert result.code == 0
    assert len(list(csv.DictReader(result.out.splitlines()))) == 8
    assert result.err == ""
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_paths_keeps_its_order(cli: Cli, slides: Path, tmp_path: Path) -> None:
    chosen = [slides / "s3/cell_0002.png", slides / "s1/cell_0001.png", slides / "gone.png"]
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join(map(str, chosen)))

    result = cli("scan", "--files-from", listing, "--out", tmp_path / "r.csv")

    rows = rows_of(tmp_path / "r.csv")
    assert result.code == 3
    assert [row["path"] for row in rows] == [str(path) for path in chosen]
    assert "no such file" in rows[2]["error"]


def test_a_list_can_come_from_stdin(
    cli: Cli, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = tmp_path / "list.txt"
    listing.write_bytes(b"".join(os.fsencode(path) + b"\n" for path in (slides / "s1").iterdir()))

    with listing.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        result = cli("scan", "--files-from", "-", "--out", tmp_path / "r.csv")

    assert result.code == 0, result.err
    assert len(rows_of(tmp_path / "r.csv")) == 8


def test_the_threshold_decides_the_calls(cli: Cli, slides: Path, tmp_path: Path) -> None:
    cli("scan", slides, "--out", tmp_path / "r.csv", "--threshold", "0")

    assert {row["call"] for row in rows_of(tmp_path / "r.csv")} == {"parasitized"}


def test_grey_images_are_scored_and_warned_about(cli: Cli, cell_png: Path, tmp_path: Path) -> None:
    with Image.open(cell_png) as image:
        image.convert("L").save(cell_png)

    result = cli("scan", cell_png, "--out", tmp_path / "r.csv")

    assert result.code == 0
    assert "without colour" in result.err


def test_names_with_every_odd_character_come_back_from_pandas(
    cli: Cli, cell_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = tmp_path / '=sum, "quoted"\nnew line 🦟'
    slide.mkdir()
    names = ["+1.png", "a,b.png", "line\nbreak.png", 'quo"te.png', "🦟.png"]
    for name in names:
        (slide / name).hardlink_to(cell_png)
    os.link(cell_png, os.fsencode(slide) + b"/latin-\xe9.png")
    monkeypatch.chdir(tmp_path)

    result = cli("scan", slide.name, "--out", "r.csv")

    read = pd.read_csv("r.csv")
    assert result.code == 0, result.err
    assert set(read["path"]) == {f"./{slide.name}/{name}" for name in names} | {
        f"./{slide.name}/latin-\\xe9.png"
    }
    assert set(read["slide"]) == {f"./{slide.name}"}


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nowhere", "--out", "r.csv"], 2, "no such file or folder: nowhere"),
        (["--out", "r.csv"], 2, "nothing to scan"),
        (["empty", "--out", "r.csv"], 1, "no image found"),
        (["texts", "--out", "r.csv"], 1, "1 other files were passed over"),
        (["cells"], 2, "no report asked for"),
        (["cells", "--out", "r.xls"], 2, "unknown report format: r.xls"),
        (["cells", "--out", "r.csv", "--out", "-"], 2, "cannot be combined"),
        (["cells", "--out", "missing/r.csv"], 1, "cannot write missing/r.csv"),
        (["cells", "--out", "folder.csv"], 1, "it is a folder"),
        (["cells", "--out", "r.csv", "--model", "nowhere"], 2, "no such model: nowhere"),
        (["cells", "--out", "r.csv", "--model", "texts"], 1, "not a malscan model: texts"),
        (["cells", "--out", "r.csv", "--model", "gs://b/m.h5"], 2, "a local .keras or .h5 file"),
        (["cells", "--out", "r.csv", "--model", "notes.h5"], 1, "or no HDF5 file"),
        (["cells", "--out", "r.csv", "--rescale", "1"], 2, "which says it itself"),
        (["cells", "--out", "r.csv", "--rescale", "0"], 2, "--rescale 0 is not between"),
        (["cells", "--out", "r.csv", "--resize-kernel", "lanczos"], 2, "--resize-kernel"),
        (["cells", "--out", "r.csv", "--class-order", "uninfected"], 2, "--class-order"),
        (["cells", "--out", "r.csv", "--threshold", "7"], 2, "not between 0 and 1"),
        (["cells", "--out", "r.csv", "--batch-size", "0"], 2, "not between 1 and 8192"),
        (["cells", "--out", "r.csv", "--treshold", "1"], 2, "--threshold"),
        (["--files-from", "nowhere", "--out", "r.csv"], 2, "cannot read --files-from nowhere"),
    ],
)
def test_bad_input_gets_one_clear_line_and_no_report(
    cli: Cli,
    cell_png: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    code: int,
    message: str,
) -> None:
    for folder in ("empty", "texts", "cells", "folder.csv"):
        (tmp_path / folder).mkdir()
    (tmp_path / "texts/notes.txt").write_text("no image")
    (tmp_path / "notes.h5").write_text("no model")
    (tmp_path / "cells/a.png").hardlink_to(cell_png)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("[!.]*"))

    result = cli("scan", *args)

    assert result.code == code
    assert message in result.err
    assert "Traceback" not in result.err
    assert set(tmp_path.rglob("[!.]*")) == before
    assert not list(tmp_path.rglob("*.partial"))


def test_an_empty_folder_can_be_allowed(cli: Cli, tmp_path: Path) -> None:
    result = cli("scan", tmp_path, "--out", tmp_path / "r.csv", "--allow-empty")

    assert result.code == 0
    assert rows_of(tmp_path / "r.csv") == []
    assert rows_of(tmp_path / "r.summary.csv")[0]["images"] == "0"


@pytest.mark.fault("two runs for the same report at once")
def test_a_second_run_for_the_same_report_exits_75(cli: Cli, slides: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    with locked([report]):
        result = cli("scan", slides, "--out", report)

    assert result.code == 75
    assert "another run" in result.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_scan_and_leaves_the_last_report_alone(
    cli: Cli,
    slides: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
) -> None:
    report = tmp_path / "r.csv"
    report.write_text("the report of last night")
    told = Counts.add

    def add(counts: Counts, *some: Any) -> None:
        told(counts, *some)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(Counts, "add", add)

    result = cli("scan", slides, "--out", report, "--batch-size", 4)

    assert result.code == code
    assert "no report was written" in result.err
    assert "Traceback" not in result.err
    assert report.read_text() == "the report of last night"
    assert not (tmp_path / ".r.csv.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_from_outside_ends_the_process(
    cell_png: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    cells = links(cell_png, tmp_path / "cells", 30_000)
    partial = tmp_path / ".r.csv.partial"
    with subprocess.Popen(
        command("scan", cells, "--out", tmp_path / "r.csv", "--batch-size", 32),
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 120
        while not (partial.exists() and partial.stat().st_size > 1000):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert b"no report was written" in err
    assert err.count(b"\n") == 1


@pytest.mark.fault("a full disk")
def test_a_full_disk_is_told_and_leaves_no_report(cli: Cli, cell_png: Path, tmp_path: Path) -> None:
    cells = links(cell_png, tmp_path / "cells", 600)

    with files_no_larger_than(8192):
        result = cli("scan", cells, "--out", tmp_path / "r.csv", "--quiet")

    assert result.code == 1
    assert "cannot write" in result.err
    assert result.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.glob("*r.*")) == [".r.csv.lock"]


def test_messages_of_native_libraries_never_reach_the_user(
    cli: Cli, cell_png: Path, tmp_path: Path
) -> None:
    with Image.open(cell_png) as image:
        image.save(tmp_path / "cut.jpg", quality=95)
    truncate(tmp_path / "cut.jpg")

    result = cli("scan", tmp_path, "--out", tmp_path / "r.csv", "--quiet")

    assert (result.code, result.out, result.err) == (3, "", "")


@pytest.mark.fault("a stdout or stderr that is full, or that nobody reads (SIGPIPE)")
def test_a_reader_that_goes_away_is_no_unexpected_error(
    cli: Cli, slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with suppress(BrokenPipeError), os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        result = cli("scan", slides, "--out", "-", "--quiet")

    assert (result.code, result.err) == (1, "")


@pytest.mark.fault("a stdout or stderr that is full, or that nobody reads (SIGPIPE)")
def test_a_full_stdout_is_told(cli: Cli, slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        result = cli("scan", slides, "--out", "-")

    assert result.code == 1
    assert "cannot write to stdout: No space left on device" in result.err


def test_a_model_name_is_text_and_no_markup(cli: Cli, slides: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(EMBEDDED, model)
    text = (model / "model.json").read_text()
    (model / "model.json").write_text(text.replace('"compact"', '"lab [/x] [v2]"', 1))

    result = cli("scan", slides, "--model", model, "--out", tmp_path / "r.csv")

    assert result.code == 0
    assert "Model lab [/x] [v2]" in result.err


@pytest.fixture
def keras_model(tmp_path: Path) -> Path:
    """A small network with one output, as Keras saves it."""
    network = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    network.save(tmp_path / "lab [v2].h5")
    return tmp_path / "lab [v2].h5"


def test_what_a_keras_file_does_not_say_is_printed_and_reported(
    cli: Cli, slides: Path, keras_model: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.json"
    args = ("--model", keras_model, "--class-order", "uninfected,parasitized")

    result = cli("scan", slides, "--out", report, *args)

    assert result.code == 0, result.err
    facts = json.loads(report.read_text())["model"]
    assert (facts["name"], facts["network"]) == ("lab [v2]", "keras-file")
    assert facts["sha256"] == hashlib.sha256(keras_model.read_bytes()).hexdigest()
    assert "pixels times 1/255 (default of --rescale)" in facts["assumed"]
    assert f"Warning: assumed: {'; '.join(facts['assumed'])}." in result.err
    assert json.loads((tmp_path / "r.json.run.json").read_text())["model"] == facts
    jsonschema.validate(json.loads(report.read_text()), json.loads(SCHEMA.read_text()))
    assert cli("scan", slides, "--out", report, *args, "--quiet").err == ""


def test_the_variable_may_name_a_keras_file(
    cli: Cli, slides: Path, keras_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALSCAN_MODEL", str(keras_model))

    result = cli("scan", slides / "s1", "--out", tmp_path / "r.csv", "--rescale", "1")

    assert result.code == 0, result.err
    assert "Model lab [v2]" in result.err
    assert "pixels times 1 (--rescale)" in result.err
