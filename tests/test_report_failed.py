"""The list of failed images: every path comes back from the list, or is told."""

import os
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_report import MODEL, SETTINGS, entries, failed_row, image_row, summary_of

from malscan.errors import MalscanError
from malscan.path_list import read_list
from malscan.report.failed import FailedList
from malscan.report.row import Row

PATHS = st.binary(min_size=1).filter(lambda raw: b"\0" not in raw)


def written(path: Path, rows: list[Row], *, null: bool = False) -> tuple[bytes, list[str]]:
    """What is in the list, and what the user is told."""
    report = FailedList(path, null=null)
    report.write(rows)
    report.finish(MODEL, SETTINGS, summary_of(rows))
    report.publish()
    report.discard()
    return path.read_bytes(), report.notes()


@given(raws=st.lists(PATHS, max_size=5))
@example(raws=[b"ends with a return\r", b"good.png", b"holds\na line end"])
def test_lines_read_back_as_paths_that_open_the_same_files(
    raws: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [failed_row(os.fsdecode(raw)) for raw in raws]
    content, notes = written(tmp_path_factory.mktemp("list") / "failed", rows)

    lines = [raw for raw in raws if b"\n" not in raw and not raw.endswith(b"\r")]
    found = [os.fsencode(path) for path in read_list(BytesIO(content))]
    # A name that a spreadsheet would take for a formula has `./` before it, and opens all the same.
    assert [os.path.normpath(b"./" + path) for path in found] == [
        os.path.normpath(b"./" + raw) for raw in lines
    ]
    assert bool(notes) == (len(lines) < len(raws))


@given(raws=st.lists(PATHS, max_size=5))
def test_zero_bytes_take_every_path(
    raws: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [failed_row(os.fsdecode(raw)) for raw in raws]
    content, notes = written(tmp_path_factory.mktemp("list") / "failed", rows, null=True)
    assert content.count(b"\0") == len(raws)
    assert notes == []


def test_images_that_did_not_fail_are_not_listed(tmp_path: Path) -> None:
    rows = [image_row("good.png"), failed_row("bad.png"), image_row("good2.png")]
    assert written(tmp_path / "failed", rows) == (b"bad.png\n", [])


def test_it_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    report = FailedList(tmp_path / "failed", null=False)
    report.write([failed_row("bad.png")])
    assert all(name.startswith(".") for name in entries(tmp_path))
    report.discard()
    assert entries(tmp_path) == []
    with pytest.raises(MalscanError, match=r"cannot write .*missing/failed"):
        FailedList(tmp_path / "missing" / "failed", null=False)
