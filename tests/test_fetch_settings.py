"""What can be asked of a fetch, and what is refused before anything is done."""

from pathlib import Path
from typing import Any

import pytest

from malscan.errors import UsageError
from malscan.fetch.archive import PUBLISHED
from malscan.fetch.settings import CheckSettings, FetchSettings, Patience

OTHER_HASH = "ab" * 32


def test_by_default_the_published_archive_is_asked_for(tmp_path: Path) -> None:
    assert FetchSettings(tmp_path).archive() == PUBLISHED


def test_a_mirror_must_have_the_published_archive(tmp_path: Path) -> None:
    archive = FetchSettings(tmp_path, url="http://mirror/cells.zip").archive()

    assert archive.urls == ("http://mirror/cells.zip",)
    assert (archive.sha256, archive.size) == (PUBLISHED.sha256, PUBLISHED.size)


@pytest.mark.parametrize(("given", "wanted"), [(OTHER_HASH, OTHER_HASH), ("none", None)])
def test_of_another_archive_nothing_is_known_but_its_hash(
    given: str, wanted: str | None, tmp_path: Path
) -> None:
    archive = FetchSettings(tmp_path, sha256=given).archive()

    assert archive.sha256 == wanted
    assert (archive.size, archive.images_per_class, archive.patients) == (None, None, None)
    assert [mapping.sha256 for mapping in archive.mappings] == [None, None]


def test_the_published_hash_in_capitals_is_the_published_archive(tmp_path: Path) -> None:
    assert PUBLISHED.sha256
    assert FetchSettings(tmp_path, sha256=PUBLISHED.sha256.upper()).archive() == PUBLISHED


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"url": "http://a/b.zip", "from_file": Path(__file__)}, "exclude each other"),
        ({"url": "ftp://a/b.zip"}, "is no address"),
        ({"url": "cells.zip"}, "is no address"),
        ({"url": "http://"}, "is no address"),
        ({"url": "http://[1/b.zip"}, "is no address"),
        ({"from_file": Path("nowhere.zip")}, "no such file"),
        ({"from_file": Path()}, "is a folder"),
        ({"sha256": "12"}, "64 hexadecimal digits"),
        ({"sample": 0}, "not at least 1"),
        ({"dest": Path(__file__)}, "is no folder"),
    ],
)
def test_what_cannot_be_is_refused(bad: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        FetchSettings(**{"dest": tmp_path, **bad})


@pytest.mark.parametrize("bad", [{"timeout": 0}, {"timeout": float("nan")}, {"retries": -1}])
def test_patience_has_limits(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is not between"):
        Patience(**bad)


def test_only_a_folder_can_be_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        CheckSettings(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is no folder"):
        CheckSettings(Path(__file__))
