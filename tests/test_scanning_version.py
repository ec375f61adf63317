"""When an image counts as unchanged."""

import os
import time
from pathlib import Path

import pytest

from malscan.scanning.version import Version, version_of

LONG_AGO_NS = 1_700_000_000_123_456_789


def aged(path: Path, modified_ns: int = LONG_AGO_NS) -> Path:
    os.utime(path, ns=(modified_ns, modified_ns))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cell.png"
    path.write_bytes(b"cell")
    return aged(path)


def known(path: Path, *, with_content: bool = False) -> Version:
    version = version_of(str(path), with_content=with_content)
    assert version is not None
    return version


def same(before: Version, now: Version) -> bool:
    return now.is_same(before.size, before.modified, before.content)


def test_an_untouched_file_is_the_same(file: Path) -> None:
    assert same(known(file), known(file))


def test_another_size_or_time_is_another_version(file: Path) -> None:
    before = known(file)

    assert not same(before, known(aged(file, LONG_AGO_NS + 1)))
    file.write_bytes(b"cells")
    assert not same(before, known(aged(file)))


def test_content_counts_where_it_is_asked_for(file: Path) -> None:
    before = known(file, with_content=True)

    assert same(before, known(aged(file, LONG_AGO_NS + 1), with_content=True))
    file.write_bytes(b"CELL")
    assert same(before, known(aged(file)))
    assert not same(before, known(file, with_content=True))


def test_an_entry_without_content_is_not_the_same_where_content_counts(file: Path) -> None:
    assert not same(known(file), known(file, with_content=True))


def test_the_time_of_a_file_changed_this_moment_is_not_trusted(file: Path) -> None:
    file.write_bytes(b"1234")
    now = time.time_ns()

    assert known(aged(file, now)).modified is None
    assert not same(known(aged(file, now)), known(file))
    assert known(aged(file, now - 10**9 + 1)).modified is not None


def test_whole_seconds_are_trusted_later(file: Path) -> None:
    second = 10**9
    last = time.time_ns() // second * second

    assert known(aged(file, last - second)).modified is None
    assert known(aged(file, last - 5 * second)).modified is not None


@pytest.mark.parametrize("seconds", [-(10**6), 2**62 // 10**9])
def test_odd_times_do_no_harm(file: Path, seconds: int) -> None:
    os.utime(file, (seconds, seconds))

    assert known(file).size == 4


def test_what_is_no_regular_file_has_no_version(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")

    for name in ("fifo.png", "missing.png", ".", "zero\0byte"):
        assert version_of(f"{tmp_path}/{name}", with_content=True) is None
