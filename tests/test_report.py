"""Reports: what stands in them, how names are written, and that they are whole or not there."""

import base64
import copy
import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import resources
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malscan import __version__
from malscan.errors import ExitCode, MalscanError, UsageError
from malscan.model import ErrorRates
from malscan.prediction import Prediction
from malscan.report.formats import FORMATS, open_report
from malscan.report.interface import ModelFacts, Report, ScanFacts
from malscan.report.names import check_names
from malscan.report.row import Row, row_of
from malscan.report.summary import Summary, Tally
from malscan.walk import CellImage

THRESHOLD = 0.5
MODEL = ModelFacts(name="demo", sha256="0123456789abcdef" * 4, network="compact")
MIN_CELLS = 3
SETTINGS = ScanFacts(
    threshold=THRESHOLD,
    uncertain=None,
    min_cells=MIN_CELLS,
    batch_size=4,
    precision="float32",
    any_size=False,
    summary_only=False,
)

COLUMNS = ["path", "slide", "status", "call", "probability", "error", "unlike"]
COUNTS = ["images", "classified", "failed", "parasitized", "uninfected", "uncertain"]
ESTIMATES = [
    *("apparent_parasitaemia", "apparent_low", "apparent_high"),
    *("corrected_parasitaemia", "corrected_low", "corrected_high"),
]

UNLIKE = ["unlike", "unlike_warning"]

UNUSUAL_NAMES = {
    "comma": b"a,b.png",
    "quote": b'the "best" cell.png',
    "newline": b"first\nsecond.png",
    "carriage return": b"first\rsecond.png",
    "both line ends": b"first\r\nsecond.png",
    "blanks": b"  two blanks each side  ",
    "looks like a missing value": b"NA",
    "looks like a number": b"007",
    "accents": "échantillon_ß_細胞.png".encode(),
    "emoji": "cell_\N{MICROSCOPE}\N{DROP OF BLOOD}.png".encode(),
    "backslash": rb"a\xffb.png",
}
FORMULAS = ["=1+1.png", "+1.png", "-1.png", "@SUM(A1).png", "\tcell.png", "\rcell.png"]


def image_row(path: str, slide: str = "s", probability: float = 0.25) -> Row:
    return row_of(Prediction(CellImage(path, slide), probability, None), THRESHOLD)


def failed_row(path: str, slide: str = "s", error: str = "the file is empty (0 bytes)") -> Row:
    return row_of(Prediction(CellImage(path, slide), None, error), THRESHOLD)


def some_rows() -> list[Row]:
    """Two slides: three images of which one failed, and one whose images all failed."""
    return [
        image_row("slides/s1/a.png", "s1", 0.912345),
        image_row("slides/s1/b.png", "s1", 0.5),
        image_row("slides/s1/c.png", "s1", 0.1),
        failed_row("slides/s1/d.png", "s1"),
        failed_row("slides/s2/e.png", "s2", "not a regular file"),
    ]


def known_rates(sensitivity: float = 0.95) -> ErrorRates:
    draws = np.random.default_rng(3)
    return ErrorRates(
        thresholds=np.array([THRESHOLD], np.float32),
        sensitivity=np.array([sensitivity], np.float32),
        false_positive_rate=np.array([0.05], np.float32),
        drawn_sensitivity=draws.normal(sensitivity, 0.01, [50, 1]).astype(np.float32),
        drawn_false_positive_rate=draws.normal(0.05, 0.01, [50, 1]).astype(np.float32),
    )


def summary_of(rows: Iterable[Row], rates: ErrorRates | None = None) -> Summary:
    tally = Tally(THRESHOLD, MIN_CELLS)
    tally.add(rows)
    return tally.summary(rates)


def fill(report: Report, rows: list[Row], rates: ErrorRates | None = None) -> None:
    """Write rows in two lots and finish."""
    half = len(rows) // 2
    report.write(rows[:half])
    report.write(rows[half:])
    report.finish(MODEL, SETTINGS, summary_of(rows, rates))


def write_report(path: Path, rows: list[Row], rates: ErrorRates | None = None) -> Path:
    report = open_report(str(path))
    fill(report, rows, rates)
    report.publish()
    report.discard()
    return path


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def read_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def read_json(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document: dict[str, Any] = json.loads(path.read_bytes(), parse_constant=refuse)
    return document


def published_schema() -> dict[str, Any]:
    file = resources.files("malscan").joinpath("schemas", "scan-1.schema.json")
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def faults(document: object) -> list[str]:
    """What the published schema has against a report."""
    validator = jsonschema.Draft202012Validator(published_schema())
    return [error.message for error in validator.iter_errors(document)]


def bytes_of(image: dict[str, Any]) -> bytes:
    """The path as it lies on disk, worked out from the JSON alone."""
    if "path_bytes" in image:
        return base64.b64decode(image["path_bytes"])
    path: str = image["path"]
    guarded = path.startswith(tuple(f"./{start}" for start in "=+-@\t\r"))
    return path.removeprefix("./").encode() if guarded else path.encode()


def assert_paths_survive(raws: list[bytes]) -> None:
    rows = [image_row(os.fsdecode(raw), os.fsdecode(raw)) for raw in raws]
    with tempfile.TemporaryDirectory() as folder:
        table = read_csv(write_report(Path(folder, "r.csv"), rows))
        images = read_json(write_report(Path(folder, "r.json"), rows))["images"]
    assert list(table["path"]) == list(table["slide"]) == [image["path"] for image in images]
    assert [bytes_of(image) for image in images] == raws


class TestCsv:
    def test_columns_stand_in_the_order_of_the_contract(self, tmp_path: Path) -> None:
        report = write_report(tmp_path / "r.csv", some_rows())
        assert list(read_csv(report).columns) == COLUMNS

    def test_every_image_has_one_row_in_the_order_written(self, tmp_path: Path) -> None:
        rows = some_rows()
        table = read_csv(write_report(tmp_path / "r.csv", rows))
        assert list(table["path"]) == [row.path for row in rows]
        assert list(table["slide"]) == ["s1", "s1", "s1", "s1", "s2"]

    def test_probabilities_have_six_decimals(self, tmp_path: Path) -> None:
        table = read_csv(write_report(tmp_path / "r.csv", some_rows()))
        assert list(table["probability"][:3]) == ["0.912345", "0.500000", "0.100000"]

    def test_a_tiny_probability_is_not_written_in_scientific_notation(self, tmp_path: Path) -> None:
        table = read_csv(write_report(tmp_path / "r.csv", [image_row("a.png", "s", 1e-06)]))
        assert list(table["probability"]) == ["0.000001"]

    def test_a_cell_at_the_threshold_is_called_parasitized(self, tmp_path: Path) -> None:
        table = read_csv(write_report(tmp_path / "r.csv", some_rows()))
        assert list(table["call"][:3]) == ["parasitized", "parasitized", "uninfected"]

    def test_a_failed_image_has_a_reason_and_neither_probability_nor_call(
        self, tmp_path: Path
    ) -> None:
        table = read_csv(write_report(tmp_path / "r.csv", some_rows()))
        failed = table[table["status"] == "failed"]
        assert list(failed["probability"]) == ["", ""]
        assert list(failed["call"]) == ["", ""]
        assert list(failed["error"]) == ["the file is empty (0 bytes)", "not a regular file"]

    def test_an_image_that_did_not_fail_has_no_reason(self, tmp_path: Path) -> None:
        table = read_csv(write_report(tmp_path / "r.csv", some_rows()))
        assert list(table[table["status"] == "ok"]["error"]) == ["", "", ""]

    def test_a_scan_without_images_gives_a_header_alone(self, tmp_path: Path) -> None:
        report = write_report(tmp_path / "r.csv", [])
        assert report.read_text() == "path,slide,status,call,probability,error,unlike\n"

    def test_the_same_rows_give_the_same_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            write_report(tmp_path / f"{name}.csv", some_rows(), known_rates())
            write_report(tmp_path / f"{name}.json", some_rows(), known_rates())
        for end in ("csv", "summary.csv", "json"):
            one, two = (tmp_path / f"{name}.{end}" for name in ("one", "two"))
            assert one.read_bytes() == two.read_bytes()

    def test_a_dash_writes_rows_to_stdout_and_no_summary(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        report = open_report("-")
        fill(report, some_rows())
        report.publish()
        report.discard()
        written = capsys.readouterr().out
        table = pd.read_csv(StringIO(written), dtype=str, keep_default_na=False)
        assert list(table.columns) == COLUMNS
        assert len(table) == len(some_rows())
        assert entries(tmp_path) == []


class TestCsvSummary:
    def test_it_lies_beside_the_report_under_the_name_of_its_stem(self, tmp_path: Path) -> None:
        write_report(tmp_path / "my.report.csv", some_rows())
        assert entries(tmp_path) == ["my.report.csv", "my.report.summary.csv"]

    def test_columns_stand_in_the_order_of_the_contract(self, tmp_path: Path) -> None:
        write_report(tmp_path / "r.csv", some_rows())
        table = read_csv(tmp_path / "r.summary.csv")
        assert list(table.columns) == ["slide", *COUNTS, *ESTIMATES, "reliable", *UNLIKE]

    def test_there_is_one_row_a_slide_and_the_last_is_the_total(self, tmp_path: Path) -> None:
        write_report(tmp_path / "r.csv", some_rows())
        assert list(read_csv(tmp_path / "r.summary.csv")["slide"]) == ["s1", "s2", "TOTAL"]

    def test_slides_stand_in_the_order_of_the_scan(self, tmp_path: Path) -> None:
        write_report(tmp_path / "r.csv", [image_row("x", slide) for slide in "zbazb"])
        assert list(read_csv(tmp_path / "r.summary.csv")["slide"]) == [*"zba", "TOTAL"]

    def test_it_counts_what_became_of_the_images(self, tmp_path: Path) -> None:
        write_report(tmp_path / "r.csv", some_rows())
        table = read_csv(tmp_path / "r.summary.csv").set_index("slide")
        assert list(table.loc["s1", COUNTS]) == ["4", "3", "1", "2", "1", "0"]
        assert list(table.loc["s2", COUNTS]) == ["1", "0", "1", "0", "0", "0"]
        assert list(table.loc["TOTAL", COUNTS]) == ["5", "3", "2", "2", "1", "0"]

    def test_the_apparent_parasitaemia_is_the_share_of_classified_images(
        self, tmp_path: Path
    ) -> None:
        write_report(tmp_path / "r.csv", some_rows())
        table = read_csv(tmp_path / "r.summary.csv").set_index("slide")
        assert table.loc["s1", "apparent_parasitaemia"] == "0.666667"
        assert table.loc["TOTAL", "apparent_parasitaemia"] == "0.666667"

    def test_a_slide_without_classified_images_has_no_parasitaemia(self, tmp_path: Path) -> None:
        write_report(tmp_path / "r.csv", some_rows(), known_rates())
        table = read_csv(tmp_path / "r.summary.csv").set_index("slide")
        assert list(table.loc["s2", ESTIMATES]) == [""] * 6

    def test_the_corrected_parasitaemia_is_empty_where_error_rates_are_unknown(
        self, tmp_path: Path
    ) -> None:
        write_report(tmp_path / "r.csv", some_rows(), None)
        table = read_csv(tmp_path / "r.summary.csv").set_index("slide")
        assert list(table.loc["s1", ESTIMATES[3:]]) == [""] * 3

    def test_the_corrected_parasitaemia_stands_where_error_rates_are_known(
        self, tmp_path: Path
    ) -> None:
        write_report(tmp_path / "r.csv", some_rows(), known_rates())
        table = read_csv(tmp_path / "r.summary.csv").set_index("slide")
        # By hand: (2 / 3 - 0.05) / (0.95 - 0.05).
        assert table.loc["s1", "corrected_parasitaemia"] == "0.685185"
        assert str(table.loc["s1", "corrected_low"]) < "0.685185"
        assert str(table.loc["s1", "corrected_high"]) > "0.685185"

    def test_a_scan_without_images_gives_a_total_of_zeros(self, tmp_path: Path) -> None:
        write_report(tmp_path / "r.csv", [])
        table = read_csv(tmp_path / "r.summary.csv")
        assert table.to_numpy().tolist() == [["TOTAL", *["0"] * 6, *[""] * 6, "no", "", ""]]


class TestNames:
    @pytest.mark.parametrize("raw", UNUSUAL_NAMES.values(), ids=UNUSUAL_NAMES.keys())
    def test_an_unusual_name_reads_back_unchanged_from_both_formats(
        self, raw: bytes, tmp_path: Path
    ) -> None:
        name = os.fsdecode(raw)
        rows = [image_row("before"), image_row(name, name), image_row("after")]
        table = read_csv(write_report(tmp_path / "r.csv", rows))
        images = read_json(write_report(tmp_path / "r.json", rows))["images"]
        summary = read_csv(tmp_path / "r.summary.csv")
        assert list(table["path"]) == ["before", name, "after"]
        assert list(table["slide"]) == ["s", name, "s"]
        assert list(summary["slide"]) == ["s", name, "TOTAL"]
        assert [image["path"] for image in images] == ["before", name, "after"]

    @pytest.mark.parametrize("name", FORMULAS)
    def test_a_name_that_looks_like_a_formula_gets_a_guard(self, name: str, tmp_path: Path) -> None:
        rows = [image_row(name, name)]
        table = read_csv(write_report(tmp_path / "r.csv", rows))
        (image,) = read_json(write_report(tmp_path / "r.json", rows))["images"]
        assert list(table["path"]) == [image["path"]] == [f"./{name}"]
        assert list(table["slide"]) == [image["slide"]] == [f"./{name}"]
        assert read_csv(tmp_path / "r.summary.csv")["slide"][0] == f"./{name}"

    @pytest.mark.parametrize("name", ["a=b.png", "s-1/x.png", "/=x.png", "./-x.png", " =x.png"])
    def test_other_names_get_no_guard(self, name: str) -> None:
        assert image_row(name).path == name

    @pytest.mark.parametrize("name", [*FORMULAS, "a,b.png", "first\nsecond.png", 'say "x".png'])
    def test_a_written_path_opens_the_image(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path(name).write_text("this one")
        table = read_csv(write_report(tmp_path / "r.csv", [image_row(name)]))
        assert Path(table["path"][0]).read_text() == "this one"

    def test_bytes_that_are_not_utf_8_appear_as_escapes(self, tmp_path: Path) -> None:
        rows = [image_row(os.fsdecode(b"caf\xe9/\xff.png"), os.fsdecode(b"caf\xe9"))]
        table = read_csv(write_report(tmp_path / "r.csv", rows))
        (image,) = read_json(write_report(tmp_path / "r.json", rows))["images"]
        assert list(table["path"]) == [image["path"]] == [r"caf\xe9/\xff.png"]
        assert list(table["slide"]) == [image["slide"]] == [r"caf\xe9"]

    def test_json_keeps_the_bytes_of_a_path_that_is_not_utf_8(self, tmp_path: Path) -> None:
        rows = [image_row(os.fsdecode(b"=caf\xe9.png"))]
        (image,) = read_json(write_report(tmp_path / "r.json", rows))["images"]
        assert base64.b64decode(image["path_bytes"]) == b"=caf\xe9.png"

    def test_json_gives_bytes_of_no_other_path(self, tmp_path: Path) -> None:
        rows = [image_row("café.png"), failed_row(r"a\xffb.png")]
        images = read_json(write_report(tmp_path / "r.json", rows))["images"]
        assert all("path_bytes" not in image for image in images)

    @given(raws=st.lists(st.binary(min_size=1).filter(lambda raw: b"\0" not in raw), max_size=5))
    def test_any_bytes_that_can_be_a_path_survive(self, raws: list[bytes]) -> None:
        assert_paths_survive(raws)

    @given(
        names=st.lists(
            st.text(st.sampled_from("=+-@\t\r\n,\"';\\ aé\N{MICROSCOPE}\ufeff"), min_size=1),
            max_size=5,
        )
    )
    def test_any_mixture_of_troublesome_characters_survives(self, names: list[str]) -> None:
        assert_paths_survive([name.encode() for name in names])


class TestJson:
    def test_it_says_what_it_is_and_what_made_it(self, tmp_path: Path) -> None:
        document = read_json(write_report(tmp_path / "r.json", some_rows()))
        assert list(document) == [
            *("schema", "malscan", "model", "settings", "summary", "slides", "images")
        ]
        assert document["schema"] == "malscan.scan/1"
        assert document["malscan"] == __version__
        assert document["model"] == {
            "name": "demo",
            "sha256": MODEL.sha256,
            "network": "compact",
            "assumed": [],
        }
        assert document["settings"] == {
            "threshold": 0.5,
            "uncertain": None,
            "min_cells": 3,
            "batch_size": 4,
            "precision": "float32",
            "any_size": False,
            "summary_only": False,
        }

    def test_the_summary_names_the_images_above_the_threshold(self, tmp_path: Path) -> None:
        document = read_json(write_report(tmp_path / "r.json", some_rows()))
        assert document["summary"]["above_threshold"] == 2
        assert [slide["above_threshold"] for slide in document["slides"]] == [2, 0]

    def test_it_says_why_there_is_no_corrected_parasitaemia(self, tmp_path: Path) -> None:
        summary = read_json(write_report(tmp_path / "r.json", some_rows(), None))["summary"]
        assert "not tested on two patients" in summary["not_corrected"]
        assert summary["corrected_parasitaemia"] is None

    def test_it_does_not_correct_by_a_model_that_hardly_discriminates(self, tmp_path: Path) -> None:
        document = read_json(write_report(tmp_path / "r.json", some_rows(), known_rates(0.1)))
        assert "hardly" in document["summary"]["not_corrected"]
        figures = [document["summary"], *document["slides"]]
        assert [each["corrected_parasitaemia"] for each in figures] == [None] * 3

    def test_it_gives_no_excuse_where_there_is_a_corrected_parasitaemia(
        self, tmp_path: Path
    ) -> None:
        document = read_json(write_report(tmp_path / "r.json", some_rows(), known_rates()))
        assert document["summary"]["not_corrected"] is None
        assert document["summary"]["corrected_parasitaemia"] == 0.685185

    def test_images_have_the_names_and_types_of_the_contract(self, tmp_path: Path) -> None:
        images = read_json(write_report(tmp_path / "r.json", some_rows()))["images"]
        assert images[0] == {
            "path": "slides/s1/a.png",
            "slide": "s1",
            "status": "ok",
            "call": "parasitized",
            "probability": 0.912345,
            "error": None,
            "unlike": None,
        }
        assert images[4] == {
            "path": "slides/s2/e.png",
            "slide": "s2",
            "status": "failed",
            "call": None,
            "probability": None,
            "error": "not a regular file",
            "unlike": None,
        }

    def test_a_scan_without_images_is_a_valid_report(self, tmp_path: Path) -> None:
        document = read_json(write_report(tmp_path / "r.json", []))
        assert document["images"] == document["slides"] == []
        assert document["summary"]["images"] == 0
        assert document["summary"]["apparent_parasitaemia"] is None
        assert faults(document) == []

    def test_thousands_of_images_in_many_lots_are_a_valid_report(self, tmp_path: Path) -> None:
        rows = [image_row(f"{i}.png", f"s{i % 7}", i / 3000) for i in range(3000)]
        report = open_report(str(tmp_path / "r.json"))
        for start in range(0, len(rows), 128):
            report.write(rows[start : start + 128])
        report.finish(MODEL, SETTINGS, summary_of(rows))
        report.publish()
        document = read_json(tmp_path / "r.json")
        assert [image["path"] for image in document["images"]] == [row.path for row in rows]
        assert document["summary"]["above_threshold"] == 1500
        assert len(document["slides"]) == 7

    def test_it_agrees_with_the_csv_on_every_image(self, tmp_path: Path) -> None:
        table = read_csv(write_report(tmp_path / "r.csv", some_rows()))
        images = read_json(write_report(tmp_path / "r.json", some_rows()))["images"]
        for image in images:
            if image["probability"] is not None:
                image["probability"] = f"{image['probability']:.6f}"
        as_text = [{name: image[name] or "" for name in COLUMNS} for image in images]
        assert table.to_dict("records") == as_text

    def test_it_agrees_with_the_csv_on_every_slide(self, tmp_path: Path) -> None:
        rows = [image_row(f"{i}", f"s{i % 3}", i / 40) for i in range(40)] + some_rows()
        write_report(tmp_path / "r.csv", rows, known_rates())
        document = read_json(write_report(tmp_path / "r.json", rows, known_rates()))
        table = pd.read_csv(tmp_path / "r.summary.csv")
        slides = pd.DataFrame([*document["slides"], {"slide": "TOTAL"} | document["summary"]])
        slides["reliable"] = slides["reliable"].map({True: "yes", False: "no"}).astype("str")
        shared = ["slide", *COUNTS, *ESTIMATES, "reliable"]
        pd.testing.assert_frame_equal(table[shared], slides[shared])


class TestPublishedSchema:
    def test_it_is_a_valid_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(published_schema())

    @pytest.mark.parametrize("rates", [None, known_rates()], ids=["uncorrected", "corrected"])
    def test_a_report_obeys_it(self, rates: ErrorRates | None, tmp_path: Path) -> None:
        rows = [*some_rows(), image_row(os.fsdecode(b"=\xff.png"))]
        document = read_json(write_report(tmp_path / "r.json", rows, rates))
        assert faults(document) == []

    @pytest.mark.parametrize(
        "spoil",
        {
            "an ok image without probability": lambda d: d["images"][0].pop("probability"),
            "an ok image with a null probability": lambda d: d["images"][0].update(
                probability=None
            ),
            "an ok image without a call": lambda d: d["images"][0].update(call=None),
            "an ok image with an error": lambda d: d["images"][0].update(error="odd"),
            "a failed image with a probability": lambda d: d["images"][4].update(probability=0.5),
            "a failed image with a call": lambda d: d["images"][4].update(call="uninfected"),
            "a failed image without a reason": lambda d: d["images"][4].update(error=None),
            "a probability over 1": lambda d: d["images"][0].update(probability=1.5),
            "a probability as text": lambda d: d["images"][0].update(probability="0.5"),
            "an unknown call": lambda d: d["images"][0].update(call="maybe"),
            "an unknown status": lambda d: d["images"][0].update(status="skipped"),
            "an unknown property of an image": lambda d: d["images"][0].update(patient="C1"),
            "an unknown property of the report": lambda d: d.update(host="here"),
            "another schema": lambda d: d.update(schema="malscan.scan/2"),
            "a count below 0": lambda d: d["summary"].update(failed=-1),
            "a band with one bound": lambda d: d["settings"].update(uncertain=[0.4]),
            "a band over 1": lambda d: d["settings"].update(uncertain=[0.4, 1.1]),
            "images in a summary alone": lambda d: d["settings"].update(summary_only=True),
            "a slide without its mark": lambda d: d["slides"][0].pop("reliable"),
            "a summary without above_threshold": lambda d: d["summary"].pop("above_threshold"),
            "half an estimate": lambda d: d["slides"][0].update(corrected_low=0.1),
            "classified images without share": lambda d: d["slides"][0].update(apparent_low=None),
            "no images": lambda d: d.pop("images"),
        }.items(),
        ids=lambda case: case[0],
    )
    def test_a_spoilt_report_breaks_it(
        self, spoil: tuple[str, Callable[[dict[str, Any]], object]], tmp_path: Path
    ) -> None:
        document = read_json(write_report(tmp_path / "r.json", some_rows()))
        spoilt = copy.deepcopy(document)
        spoil[1](spoilt)
        assert faults(document) == []
        assert faults(spoilt) != []


@pytest.mark.parametrize(
    "name", ["r.csv", "r.json", "r.jsonl", "r.parquet", "r.html", "R.CSV", "r.Json"]
)
class TestWholeOrNotAtAll:
    def test_nothing_is_under_the_final_name_before_publication(
        self, name: str, tmp_path: Path
    ) -> None:
        report = open_report(str(tmp_path / name))
        fill(report, some_rows())
        assert all(entry.startswith(".") for entry in entries(tmp_path))
        report.publish()
        assert (tmp_path / name).exists()
        report.discard()

    def test_discarding_an_unfinished_report_leaves_no_file_at_all(
        self, name: str, tmp_path: Path
    ) -> None:
        report = open_report(str(tmp_path / name))
        report.write(some_rows())
        report.discard()
        assert entries(tmp_path) == []

    def test_discarding_a_finished_report_leaves_no_file_at_all(
        self, name: str, tmp_path: Path
    ) -> None:
        report = open_report(str(tmp_path / name))
        fill(report, some_rows())
        report.discard()
        assert entries(tmp_path) == []

    def test_discarding_does_no_harm_to_a_published_report(self, name: str, tmp_path: Path) -> None:
        report = open_report(str(tmp_path / name))
        fill(report, some_rows())
        report.publish()
        published = entries(tmp_path)
        report.discard()
        assert entries(tmp_path) == published
        assert not any(entry.startswith(".") for entry in published)

    def test_an_older_report_stays_until_the_new_one_replaces_it(
        self, name: str, tmp_path: Path
    ) -> None:
        path = tmp_path / name
        write_report(path, [image_row("old.png")])
        report = open_report(str(path))
        fill(report, [image_row("new.png")])
        assert b"old.png" in path.read_bytes()
        report.publish()
        assert b"new.png" in path.read_bytes()
        assert b"old.png" not in path.read_bytes()

    def test_a_folder_in_its_place_is_an_error_that_names_it(
        self, name: str, tmp_path: Path
    ) -> None:
        (tmp_path / name).mkdir()
        with pytest.raises(MalscanError, match="is a folder") as caught:
            open_report(str(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)
        assert entries(tmp_path) == [name]

    def test_a_missing_folder_is_an_error_that_names_the_report(
        self, name: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "missing" / name
        with pytest.raises(MalscanError) as caught:
            open_report(str(path))
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == ExitCode.FAILED
        assert entries(tmp_path) == []


def test_a_folder_in_place_of_the_csv_summary_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "r.summary.csv").mkdir()
    with pytest.raises(MalscanError, match=r"r\.summary\.csv"):
        open_report(str(tmp_path / "r.csv"))
    assert entries(tmp_path) == ["r.summary.csv"]


def test_json_that_has_no_room_for_its_spool_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", no_room)
    with pytest.raises(MalscanError, match=r"r\.json"):
        open_report(str(tmp_path / "r.json"))
    assert entries(tmp_path) == []


WRITE_TO_A_FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
from test_report import failed_row, fill
from malscan.errors import MalscanError
from malscan.report.formats import open_report

name, rows = sys.argv[1], [failed_row(f"{i}.png") for i in range(int(sys.argv[2]))]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
report = open_report(name)
try:
    fill(report, rows)
    report.publish()
except MalscanError as error:
    print(error)
finally:
    report.discard()
"""


@pytest.mark.parametrize(
    ("name", "images"),
    [
        pytest.param("r.csv", 5000, id="csv while rows come in"),
        pytest.param("r.csv", 120, id="csv at the end"),
        pytest.param("r.json", 5000, id="json while rows come in"),
        pytest.param("r.json", 30, id="json at the end"),
        pytest.param("r.jsonl", 5000, id="jsonl while rows come in"),
        pytest.param("r.jsonl", 60, id="jsonl at the end"),
        pytest.param("r.parquet", 40_000, id="parquet while rows come in"),
        pytest.param("r.parquet", 1000, id="parquet at the end"),
        pytest.param("r.html", 5000, id="html while rows come in"),
        pytest.param("r.html", 30, id="html at the end"),
    ],
)
@pytest.mark.fault("a full disk")
def test_a_full_disk_is_an_error_that_names_the_report_and_leaves_nothing(
    name: str, images: int, tmp_path: Path
) -> None:
    # No file may grow over 4 KiB: the system refuses the write, as it does on a full disk.
    script = [sys.executable, "-c", WRITE_TO_A_FULL_DISK, name, str(images)]
    tests = str(Path(__file__).parent)
    paths = os.pathsep.join([tests, *sys.path])
    done = subprocess.run(
        script, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"cannot write {name}: File too large")
    assert done.stderr == ""
    assert entries(tmp_path) == []


class TestReportNames:
    @pytest.mark.parametrize(
        "outs",
        [
            pytest.param((), id="none"),
            pytest.param(("r.txt",), id="unknown suffix"),
            pytest.param(("report",), id="no suffix"),
            pytest.param((".csv",), id="a suffix alone"),
            pytest.param(("r.csv", "r.txt"), id="one good and one unknown"),
            pytest.param(("r.csv", "r.json", "r.csv"), id="twice"),
            pytest.param(("r.csv", "./r.csv"), id="twice in other words"),
            pytest.param(("r.csv", "r.summary.csv"), id="one that is the summary of another"),
            pytest.param(("r.csv", "r.CSV"), id="two with one summary"),
            pytest.param(("r.csv", "r.csv.run.json"), id="one that is the record of the run"),
            pytest.param(("-", "r.csv"), id="stdout and a file"),
            pytest.param(("-", "-"), id="stdout twice"),
        ],
    )
    def test_what_cannot_be_written_is_refused_as_wrong_usage(self, outs: tuple[str, ...]) -> None:
        with pytest.raises(UsageError) as caught:
            check_names(outs)
        assert caught.value.exit_code == ExitCode.USAGE

    @pytest.mark.parametrize(
        "outs", [("r.csv",), ("-",), ("r.csv", "r.json"), ("R.CSV",), ("a/r.csv", "b/r.csv")]
    )
    def test_what_can_be_written_is_accepted(self, outs: tuple[str, ...]) -> None:
        check_names(outs)

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_every_format_has_a_suffix_that_is_accepted(self, suffix: str, tmp_path: Path) -> None:
        check_names([f"r{suffix}"])
        open_report(str(tmp_path / f"r{suffix}")).discard()

    def test_an_unknown_suffix_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(UsageError, match=r"r\.txt.*\.csv.*\.json"):
            check_names(["r.txt"])
