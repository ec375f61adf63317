"""Reports for programs, JSON Lines and Parquet: the same images, names and figures as in JSON."""

import base64
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_report import (
    FORMULAS,
    MODEL,
    SETTINGS,
    UNUSUAL_NAMES,
    faults,
    image_row,
    known_rates,
    read_json,
    some_rows,
    summary_of,
    write_report,
)

from malscan.report.formats import open_report
from malscan.report.parquet import METADATA_KEY, ROW_GROUP
from malscan.report.row import Row

NAMES = [*UNUSUAL_NAMES.values(), *(name.encode() for name in FORMULAS)]
NOT_UTF_8 = b"=caf\xe9.png"
LINE_ENDS = "a\x85b\u2028c\u2029d.png"


def odd_rows() -> list[Row]:
    names = [os.fsdecode(raw) for raw in [*NAMES, NOT_UTF_8, LINE_ENDS.encode()]]
    return [*some_rows(), *(image_row(name, name) for name in names)]


def many_rows(count: int) -> list[Row]:
    return [image_row(f"{i}.png", f"s{i % 3}", i / count) for i in range(count)]


def written_in_lots(path: Path, rows: list[Row], lot: int) -> bytes:
    report = open_report(str(path))
    for start in range(0, len(rows), lot):
        report.write(rows[start : start + lot])
    report.finish(MODEL, SETTINGS, summary_of(rows))
    report.publish()
    report.discard()
    return path.read_bytes()


def facts_of(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(pq.read_schema(path).metadata[METADATA_KEY.encode()])
    return facts


class TestJsonl:
    def test_each_line_is_an_entry_of_the_images_of_the_json_report(self, tmp_path: Path) -> None:
        lines = write_report(tmp_path / "r.jsonl", odd_rows()).read_text().splitlines()
        images = read_json(write_report(tmp_path / "r.json", odd_rows()))["images"]
        assert [json.loads(line) for line in lines] == images

    def test_pandas_reads_back_the_same_names(self, tmp_path: Path) -> None:
        path = write_report(tmp_path / "r.jsonl", odd_rows())
        table = pd.read_json(path, lines=True, dtype=False)
        assert list(table["path"]) == [row.path for row in odd_rows()]
        assert list(table["slide"]) == [row.slide for row in odd_rows()]

    def test_names_stay_readable(self, tmp_path: Path) -> None:
        path = write_report(tmp_path / "r.jsonl", [image_row("échantillon.png")])
        assert "échantillon.png" in path.read_text(encoding="utf-8")

    def test_a_scan_without_images_gives_an_empty_file(self, tmp_path: Path) -> None:
        assert write_report(tmp_path / "r.jsonl", []).read_bytes() == b""


class TestParquet:
    def test_columns_are_those_of_the_csv_with_types(self, tmp_path: Path) -> None:
        schema = pq.read_schema(write_report(tmp_path / "r.parquet", some_rows()))
        assert {field.name: field.type for field in schema} == {
            "path": pa.string(),
            "slide": pa.string(),
            "status": pa.string(),
            "call": pa.string(),
            "unlike": pa.float64(),
            "probability": pa.float64(),
            "error": pa.string(),
            "path_bytes": pa.binary(),
        }

    def test_rows_and_metadata_together_are_the_json_report(self, tmp_path: Path) -> None:
        path = write_report(tmp_path / "r.parquet", odd_rows(), known_rates())
        document = read_json(write_report(tmp_path / "r.json", odd_rows(), known_rates()))
        images = pq.read_table(path).to_pylist()
        for image in images:
            raw = image.pop("path_bytes")
            if raw is not None:
                image["path_bytes"] = base64.b64encode(raw).decode()
        assert facts_of(path) | {"images": images} == document
        assert faults(document) == []

    def test_pandas_reads_back_the_same_names(self, tmp_path: Path) -> None:
        table = pd.read_parquet(write_report(tmp_path / "r.parquet", odd_rows()))
        assert list(table["path"]) == [row.path for row in odd_rows()]
        assert list(table["slide"]) == [row.slide for row in odd_rows()]

    def test_a_failed_image_has_neither_probability_nor_call(self, tmp_path: Path) -> None:
        table = pd.read_parquet(write_report(tmp_path / "r.parquet", some_rows()))
        failed = table[table["status"] == "failed"]
        assert len(failed) == 2
        assert failed[["call", "probability"]].isna().all(axis=None)
        assert failed["error"].notna().all()

    def test_the_bytes_of_a_path_are_there_only_where_it_is_not_utf_8(self, tmp_path: Path) -> None:
        rows = [image_row("café.png"), image_row(os.fsdecode(NOT_UTF_8))]
        column = pq.read_table(write_report(tmp_path / "r.parquet", rows))["path_bytes"]
        assert column.to_pylist() == [None, NOT_UTF_8]

    @pytest.mark.parametrize("count", [0, 1, ROW_GROUP, ROW_GROUP + 1])
    def test_every_row_is_written_once_and_in_groups_of_one_size(
        self, count: int, tmp_path: Path
    ) -> None:
        rows = many_rows(count)
        path = write_report(tmp_path / "r.parquet", rows)
        found = pq.read_metadata(path)
        groups = [found.row_group(i).num_rows for i in range(found.num_row_groups)]
        assert pq.read_table(path)["path"].to_pylist() == [row.path for row in rows]
        assert groups == [size for size in (min(count, ROW_GROUP), count - ROW_GROUP) if size > 0]

    def test_rows_are_on_the_disk_before_the_scan_has_ended(self, tmp_path: Path) -> None:
        report = open_report(str(tmp_path / "r.parquet"))
        report.write(many_rows(ROW_GROUP))
        (partial,) = tmp_path.iterdir()
        assert partial.stat().st_size > 10_000
        report.discard()

    def test_nothing_is_said_of_a_report_that_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[object] = []
        monkeypatch.setattr(sys, "unraisablehook", said.append)
        report = open_report(str(tmp_path / "r.parquet"))
        report.write(many_rows(ROW_GROUP + 1))
        report.discard()
        del report
        gc.collect()
        assert said == []

    def test_the_bytes_do_not_depend_on_the_lots_that_rows_come_in(self, tmp_path: Path) -> None:
        rows = many_rows(ROW_GROUP + 500)
        one, two = (written_in_lots(tmp_path / f"{lot}.parquet", rows, lot) for lot in (256, 7000))
        assert one == two


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_the_same_rows_give_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    one, two = (write_report(tmp_path / f"{name}{suffix}", odd_rows()) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("suffix", "loaded"), [(".csv", False), (".json", False), (".parquet", True)]
)
def test_arrow_is_loaded_for_a_parquet_report_only(
    suffix: str, loaded: bool, tmp_path: Path
) -> None:
    program = (
        "import sys; from malscan.cli import main\n"
        f"sys.argv = ['malscan', 'scan', '.', '--allow-empty', '--quiet', '--out', 'r{suffix}']\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "print('pyarrow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == (f"{loaded}\n", "")
    assert (tmp_path / f"r{suffix}").exists()
