"""The journal: what was put in comes out, or the damage is noticed."""

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from malscan.errors import MalscanError
from malscan.scanning.journal import DamagedError, Entry, Journal, open_journal, remove

ENTRY = Entry(
    b"/slides/s1/\xff\n'.png", 1234, 1_700_000_000_123_456_789, None, 0.123457, 0.25, False
)
ENTRIES = [replace(ENTRY, path=b"/slides/%05d.png" % i, probability=i / 1000) for i in range(500)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def filled(file: Path, entries: list[Entry] = ENTRIES) -> None:
    journal = Journal.create(file, {"model": "abc"})
    journal.add(entries)
    journal.commit()
    journal.close()


def opened(file: Path) -> Journal:
    journal = open_journal(file, read_only=True)
    assert journal is not None
    return journal


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.builds(
        Entry,
        path=st.binary(min_size=1),
        size=st.integers(0, 2**62),
        modified=st.none() | st.integers(0, 2**63 - 1),
        content=st.none() | st.binary(min_size=32, max_size=32),
        probability=st.integers(0, 10**6).map(lambda millionths: round(millionths / 1e6, 6)),
        unlike=st.none() | st.floats(0, 1),
        grey=st.booleans(),
    )
)
def test_an_entry_comes_back_as_it_was(file: Path, entry: Entry) -> None:
    filled(file, [entry])

    journal = opened(file)

    assert journal.find(entry.path) == entry
    assert journal.find(entry.path + b"x") is None
    assert journal.count() == 1
    journal.close()


def test_a_later_entry_takes_the_place_of_an_earlier_one(file: Path) -> None:
    later = replace(ENTRY, probability=0.9)
    filled(file, [ENTRY, later])

    assert opened(file).find(ENTRY.path) == later


def test_it_says_what_its_entries_follow_from(file: Path) -> None:
    filled(file)

    assert opened(file).fingerprint() == {"model": "abc"}


def test_no_file_is_no_journal(file: Path) -> None:
    assert open_journal(file, read_only=True) is None
    assert not file.exists()


def test_an_unfinished_transaction_leaves_what_was_committed_before(file: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from malscan.scanning import journal as module\n"
        "from malscan.scanning.journal import Entry, Journal\n"
        "module.COMMIT_SECONDS = 1e9\n"
        "journal = Journal.create(Path(sys.argv[1]), {})\n"
        "entries = [Entry(b'%06d' % i, 1, 1, None, 0.5, None, False) for i in range(50000)]\n"
        "journal.add(entries[:10]); journal.commit(); journal.add(entries[10:])\n"
        "os.kill(os.getpid(), 9)\n"
    )

    done = subprocess.run([sys.executable, "-c", script, str(file)], check=False)

    assert done.returncode == -9
    journal = open_journal(file, read_only=False)
    assert journal is not None
    journal.check()
    assert journal.count() == 10


@pytest.mark.parametrize("column", ["size", "modified", "probability", "unlike", "grey", "path"])
@pytest.mark.fault("a damaged state of a scan (bytes flipped, blanked, cut off)")
def test_a_changed_entry_is_noticed(file: Path, column: str) -> None:
    filled(file, [ENTRY])
    with sqlite3.connect(file) as connection:
        value = b"/other.png" if column == "path" else 1
        connection.execute(f"UPDATE images SET {column} = ?", [value])

    with pytest.raises(DamagedError):
        opened(file).check()
    with pytest.raises(DamagedError):
        opened(file).find(b"/other.png" if column == "path" else ENTRY.path)


@pytest.mark.parametrize("place", range(0, 100, 3))
@pytest.mark.fault("a damaged state of a scan (bytes flipped, blanked, cut off)")
def test_no_damage_to_the_file_gives_another_probability(file: Path, place: int) -> None:
    filled(file)
    content = bytearray(file.read_bytes())
    content[len(content) * place // 100] ^= 0xFF
    file.write_bytes(content)

    try:
        journal = opened(file)
        found = [journal.find(entry.path) for entry in ENTRIES]
    except DamagedError:
        return
    assert all(known in (entry, None) for known, entry in zip(found, ENTRIES, strict=True))


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_what_is_no_journal_is_noticed(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    with pytest.raises(DamagedError):
        opened(file).fingerprint()


@pytest.mark.fault("a damaged state of a scan (bytes flipped, blanked, cut off)")
def test_a_truncated_journal_is_noticed(file: Path) -> None:
    filled(file)
    os.truncate(file, file.stat().st_size // 2)

    with pytest.raises(DamagedError):
        opened(file).check()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(MalscanError, match="cannot write the state of this scan"):
        Journal.create(tmp_path / "missing" / "journal.sqlite", {})


def test_removing_takes_the_rest_of_a_killed_transaction_along(file: Path) -> None:
    filled(file)
    rest = file.with_name(f"{file.name}-journal")
    rest.write_bytes(b"rest")

    remove(file)
    remove(file)

    assert not file.exists()
    assert not rest.exists()
