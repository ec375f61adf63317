"""What `malscan scan` is asked of its reports: doubt, reliability, summaries, failed images."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Cli
from draw_cells import draw_cell
from test_report import published_schema

from malscan.atomic import locked
from malscan.model import EMBEDDED
from malscan.scan import scan
from malscan.settings import ScanSettings

ALL = ("r.csv", "r.json", "r.jsonl", "r.parquet")


@pytest.fixture
def slide(tmp_path: Path, rng: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six drawn cells, of which the third is empty and the fifth no image; the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "slide"
    folder.mkdir()
    for number in range(6):
        draw_cell(rng, number % 2 == 0, size=60).save(folder / f"{number}.png")
    (folder / "2.png").write_bytes(b"")
    (folder / "4.png").write_text("no image")
    return Path("slide")


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    """The embedded model with a doubt band that holds nearly every probability."""
    folder = tmp_path / "doubtful"
    shutil.copytree(EMBEDDED, folder)
    metadata = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(metadata | {"uncertain": [0.0, 1.0]}))
    return folder


def outs(*names: str) -> list[str]:
    return [word for name in names for word in ("--out", name)]


def read_json(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(name).read_text())
    jsonschema.validate(document, published_schema())
    return document


def one_line(text: str) -> str:
    return " ".join(text.split())


class TestUncertain:
    def test_a_band_is_called_counted_and_shown_and_moves_no_parasitaemia(
        self, cli: Cli, slide: Path
    ) -> None:
        none = ("--uncertain", "0", "0")
        without = cli("scan", slide, *outs("plain.json"), *none, "--keep-going")
        result = cli("scan", slide, *outs(*ALL), "--uncertain", "0", "1", "--keep-going")

        assert result.code == 0, result.err
        plain, document = read_json("plain.json"), read_json("r.json")
        summary = pd.read_csv("r.summary.csv").iloc[-1]
        assert document["settings"]["uncertain"] == [0, 1]
        assert plain["settings"]["uncertain"] in (None, [0, 0])
        assert [image["call"] for image in document["images"] if image["status"] == "ok"] == [
            "uncertain"
        ] * 4
        for counts in (summary, document["summary"], document["slides"][0]):
            assert (counts["uncertain"], counts["parasitized"], counts["uninfected"]) == (4, 0, 0)
        for name in ("above_threshold", "apparent_parasitaemia", "corrected_parasitaemia"):
            assert document["summary"][name] == plain["summary"][name]
        assert plain["summary"]["uncertain"] == 0
        assert "uncertain from 0 to 1" in one_line(result.err)
        assert "certain" in result.err
        assert "certain" not in without.err

    def test_the_band_of_the_model_is_the_default_and_equal_bounds_switch_it_off(
        self, cli: Cli, slide: Path, doubtful: Path
    ) -> None:
        args = ("scan", slide, *outs("r.json"), "--model", doubtful)
        cli(*args)
        assert read_json("r.json")["summary"]["uncertain"] == 4

        cli(*args, "--uncertain", "0", "0")
        document = read_json("r.json")
        assert document["summary"]["uncertain"] == 0
        assert document["settings"]["uncertain"] is None

    def test_a_band_away_from_the_threshold_is_told(self, cli: Cli, slide: Path) -> None:
        args = ("--uncertain", "0.6", "0.7", "--min-cells", "4")
        result = cli("scan", slide, *outs("r.csv"), *args)
        assert "--uncertain 0.6 0.7 does not hold the threshold 0.5" in one_line(result.err)
        assert "*" not in result.err, "four classified cells are enough here"

    @pytest.mark.parametrize(
        ("bounds", "message"),
        [
            (["0.9", "0.1"], "--uncertain 0.9 0.1 is no band of probabilities"),
            (["nan", "1"], "--uncertain nan 1 is no band of probabilities"),
            (["0.1"], "--uncertain"),
        ],
    )
    def test_what_is_no_band_is_wrong_usage(
        self, cli: Cli, slide: Path, bounds: list[str], message: str
    ) -> None:
        result = cli("scan", slide, *outs("r.csv"), "--uncertain", *bounds)
        assert result.code == 2
        assert message in one_line(result.err)


class TestMinCells:
    def test_slides_with_fewer_classified_cells_are_marked_and_it_is_explained_once(
        self, cli: Cli, slides: Path, slide: Path
    ) -> None:
        result = cli("scan", slides, slide, *outs("r.csv", "r.json"), "--min-cells", "8")

        document = read_json("r.json")
        table = pd.read_csv("r.summary.csv")
        assert list(table["reliable"]) == ["yes", "yes", "yes", "no", "yes"]
        assert [each["reliable"] for each in document["slides"]] == [True, True, True, False]
        assert document["settings"]["min_cells"] == 8
        assert "slide *" in result.err
        assert "TOTAL *" not in result.err
        assert result.err.count("* under 8 classified cells: parasitaemia unreliable") == 1

    def test_2000_cells_are_asked_for_by_default(self, cli: Cli, slide: Path) -> None:
        result = cli("scan", slide, *outs("r.json"))
        assert read_json("r.json")["settings"]["min_cells"] == 2000
        assert "* under 2,000 classified cells" in result.err

    def test_a_negative_number_is_wrong_usage(self, cli: Cli, slide: Path) -> None:
        assert cli("scan", slide, *outs("r.csv"), "--min-cells", "-1").code == 2


class TestSummaryOnly:
    def test_reports_of_all_formats_hold_the_summary_and_no_images(
        self, cli: Cli, slide: Path
    ) -> None:
        cli("scan", slide, *outs("whole.csv", "whole.json"))
        result = cli("scan", slide, *outs(*ALL), "--summary-only")

        assert result.code == 3
        whole, document = read_json("whole.json"), read_json("r.json")
        assert Path("r.csv").read_text() == "path,slide,status,call,probability,error,unlike\n"
        assert Path("r.summary.csv").read_text() == Path("whole.summary.csv").read_text()
        assert document["images"] == []
        assert document["settings"]["summary_only"] is True
        assert whole["settings"]["summary_only"] is False
        assert (document["summary"], document["slides"]) == (whole["summary"], whole["slides"])
        assert Path("r.jsonl").read_bytes() == b""
        parquet = pq.read_table("r.parquet")
        assert parquet.num_rows == 0
        assert json.loads(parquet.schema.metadata[b"malscan"])["summary"] == whole["summary"]

    def test_stdout_which_has_no_summary_is_wrong_usage(self, cli: Cli, slide: Path) -> None:
        result = cli("scan", slide, "--out", "-", "--summary-only")
        assert result.code == 2
        assert "nothing would be left" in result.err


class TestFailedTo:
    def test_it_lists_the_failed_images_for_a_second_try(
        self, cli: Cli, slide: Path, cell_png: Path
    ) -> None:
        first = cli("scan", slide, *outs("one.csv"), "--failed-to", "failed.txt", "--summary-only")
        assert first.code == 3
        assert Path("failed.txt").read_bytes() == b"slide/2.png\nslide/4.png\n"

        shutil.copy(cell_png, slide / "2.png")
        again = ("--files-from", "failed.txt", "--failed-to", "failed.txt")
        assert cli("scan", *again, *outs("two.csv")).code == 3
        rows = pd.read_csv("two.csv")
        assert list(rows["path"]) == ["slide/2.png", "slide/4.png"]
        assert list(rows["slide"]) == ["slide", "slide"]
        assert Path("failed.txt").read_bytes() == b"slide/4.png\n"

        shutil.copy(cell_png, slide / "4.png")
        assert cli("scan", *again, *outs("three.csv")).code == 0
        assert Path("failed.txt").read_bytes() == b""

    def test_paths_are_raw_bytes_and_one_with_a_line_end_is_told(
        self, cli: Cli, slide: Path
    ) -> None:
        for name in (b"caf\xe9.png", b"two\nlines.png", b'a,"b".png'):
            (slide / os.fsdecode(name)).write_bytes(b"")
        found = [b'a,"b".png', b"caf\xe9.png", b"two\nlines.png"]

        result = cli("scan", slide, *outs("r.csv"), "--failed-to", "lines")
        with_null = scan(ScanSettings(("slide",), ("r.csv",), failed_to=Path("nulls"), null=True))

        assert Path("nulls").read_bytes() == b"".join(
            b"slide/%b\0" % name for name in (b"2.png", b"4.png", *found)
        )
        assert with_null.notes == []
        assert Path("lines").read_bytes() == b"".join(
            b"slide/%b\n" % name for name in (b"2.png", b"4.png", *found[:-1])
        )
        assert "Note: 1 failed paths that hold a line end are not in lines" in one_line(result.err)

    def test_a_list_that_another_run_writes_is_left_to_it(self, cli: Cli, slide: Path) -> None:
        with locked([Path("failed.txt")]):
            result = cli("scan", slide, *outs("r.csv"), "--failed-to", "failed.txt")
        assert result.code == 75
        assert "another run is writing failed.txt" in one_line(result.err)

    def test_a_scan_that_stops_leaves_the_last_list_alone(self, cli: Cli, slide: Path) -> None:
        Path("failed.txt").write_text("of last night")
        result = cli("scan", slide, *outs("r.csv"), "--failed-to", "failed.txt", "--fail-on-failed")
        assert result.code == 1
        assert Path("failed.txt").read_text() == "of last night"
        assert not list(Path().glob(".*.partial"))

    @pytest.mark.parametrize(
        ("name", "code", "message"),
        [
            ("missing/f.txt", 1, "cannot write missing/f.txt"),
            ("slide", 1, "it is a folder"),
            ("./r.csv", 2, "would replace a file of a report"),
            ("r.summary.csv", 2, "would replace a file of a report"),
            ("r.csv.run.json", 2, "would replace a file of a report"),
            ("-", 2, "not to stdout"),
        ],
    )
    def test_a_place_that_cannot_be_is_told_and_there_is_no_report(
        self, cli: Cli, slide: Path, name: str, code: int, message: str
    ) -> None:
        result = cli("scan", slide, *outs("r.csv"), "--failed-to", name)
        assert result.code == code
        assert message in one_line(result.err)
        assert not Path("r.csv").exists()


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_a_report_for_programs_can_be_the_only_one(cli: Cli, slide: Path, name: str) -> None:
    assert cli("scan", slide, *outs(name)).code == 3
    table = pd.read_parquet(name) if name == "r.parquet" else pd.read_json(name, lines=True)
    assert list(table["path"]) == [f"slide/{number}.png" for number in range(6)]
    assert sorted(path.name for path in Path().glob("r.*")) == [name, f"{name}.run.json"]
