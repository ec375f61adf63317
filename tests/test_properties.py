"""What holds for whatever names and histories: all reports agree, and the journal forgets nothing.

Properties of walk, split, CSV, JSON, lists and choices are with the other tests of each.
"""

import json
import os
import tempfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_report import failed_row, image_row, read_csv, read_json, write_report
from test_scanning_journal import ENTRY

from malscan.report.row import Row
from malscan.report.shown import shown
from malscan.scanning.journal import Entry, Journal, open_journal

NASTY = st.text(
    st.sampled_from("=+-@\t\r\n,\"';&<>/\\ aé\x00\x1b\x85\u2028\u202e\ufeff\N{MICROSCOPE}").filter(
        lambda sign: sign != "\0"
    )
    | st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=20,
)
BYTES = st.binary(min_size=1, max_size=12).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)
NAMES = st.lists(st.tuples(NASTY | BYTES, NASTY | BYTES), min_size=1, max_size=4)


class Tags(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag} {name}" for name, _ in attrs)}

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(path: Path) -> Tags:
    tags = Tags()
    tags.feed(path.read_text(encoding="utf-8"))
    return tags


def page_of(rows: list[Row]) -> Tags:
    with tempfile.TemporaryDirectory() as folder:
        return parsed(write_report(Path(folder, "r.html"), rows))


PLAIN = page_of([failed_row("a.png", "s"), image_row("b.png", "s")])


@settings(max_examples=20)
@given(names=NAMES)
def test_every_report_tells_the_same_names_and_none_becomes_markup(
    names: list[tuple[str, str]],
) -> None:
    rows = [
        failed_row(path, slide) if number % 2 else image_row(path, slide)
        for number, (path, slide) in enumerate(names)
    ]
    expected = [(row.path, row.slide) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        table = read_csv(write_report(work / "r.csv", rows))
        images = read_json(write_report(work / "r.json", rows))["images"]
        lines = write_report(work / "r.jsonl", rows).read_bytes().split(b"\n")
        columns = pq.read_table(write_report(work / "r.parquet", rows)).to_pydict()
        tags = parsed(write_report(work / "r.html", rows))
    assert list(zip(table["path"], table["slide"], strict=True)) == expected
    assert [(image["path"], image["slide"]) for image in images] == expected
    assert [json.loads(line) for line in lines if line] == images
    assert list(zip(columns["path"], columns["slide"], strict=True)) == expected
    assert tags.found <= PLAIN.found
    assert all(" ".join(shown(row.slide).split()) in " ".join(tags.text.split()) for row in rows)


STEPS = st.lists(
    st.tuples(st.just("add"), st.integers(0, 9), st.integers(0, 10**6))
    | st.tuples(st.sampled_from(["commit", "reopen", "lose"]), st.just(0), st.just(0)),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_journal_remembers_what_was_committed_through_any_history(
    steps: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    file = tmp_path / "journal.sqlite"
    journal = Journal.create(file, {"model": "abc"})
    safe: dict[bytes, Entry] = {}
    now: dict[bytes, Entry] = {}
    for step, place, millionths in steps:
        if step == "add":
            entry = replace(ENTRY, path=b"/%d.png" % place, probability=millionths / 1e6)
            journal.add([entry])
            now[entry.path] = entry
        elif step == "commit":
            journal.commit()
            safe = dict(now)
        else:
            if step == "reopen":
                journal.commit()
                safe = dict(now)
            journal.close()
            opened = open_journal(file, read_only=False)
            assert opened is not None
            journal, now = opened, dict(safe)
        assert {path: journal.find(path) for path in now} == now
        assert journal.count() == len(now)
    journal.check()
    journal.close()
