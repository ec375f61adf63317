"""Is a folder whole: what is missing, of another size, strange or undecodable is named."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from archives import images_of, publish

from malscan.errors import ExitCode, MalscanError
from malscan.fetch.archive import Archive
from malscan.fetch.check import CheckResult, check
from malscan.fetch.fetch import fetch
from malscan.fetch.manifest import read_manifest
from malscan.fetch.settings import CheckSettings, FetchSettings


@pytest.fixture(scope="module")
def archive(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("served")
    published = publish(folder, images_of(labelled))
    return replace(published, urls=((folder / "cell_images.zip").as_uri(),))


@pytest.fixture(scope="module")
def fetched(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole folder; do not change it."""
    dest = tmp_path_factory.mktemp("fetched") / "d"
    fetch(FetchSettings(dest, url=archive.urls[0], published=archive))
    return dest


@pytest.fixture
def dest(fetched: Path, tmp_path: Path) -> Path:
    """A whole folder to spoil."""
    shutil.copytree(fetched, tmp_path / "d")
    return tmp_path / "d"


def image(dest: Path, number: int = 0) -> Path:
    return sorted((dest / "cell_images/Uninfected").iterdir())[number]


def test_a_whole_folder_is_whole(fetched: Path) -> None:
    result = check(CheckSettings(fetched))

    assert result.is_whole
    assert result.exit_code == ExitCode.OK
    assert (result.count("parasitized"), result.count("uninfected")) == (120, 120)
    assert (result.patients(), result.patients("parasitized")) == (12, 9)


def test_what_the_system_leaves_in_folders_does_no_harm(dest: Path) -> None:
    (dest / "cell_images/Uninfected/Thumbs.db").write_bytes(b"1")
    (dest / "cell_images/.DS_Store").write_bytes(b"1")
    image(dest).with_name(f"._{image(dest).name}").write_bytes(b"1")

    assert check(CheckSettings(dest)).is_whole


Spoil = Callable[[Path], object]


def _swap_for_a_link(dest: Path) -> None:
    path = image(dest)
    elsewhere = dest.parent / "elsewhere.png"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda dest: image(dest).unlink(), "missing"),
        (lambda dest: shutil.rmtree(dest / "cell_images/Parasitized"), "missing"),
        (lambda dest: image(dest).write_bytes(b""), "resized"),
        (lambda dest: shutil.copy(image(dest), image(dest).with_name("new.png")), "strangers"),
        (lambda dest: (dest / "cell_images/notes.txt").write_text("1"), "strangers"),
        (lambda dest: (dest / "cell_images/Uninfected/notes.txt").write_text("1"), "strangers"),
        (lambda dest: (dest / "cell_images/cell_images").mkdir(), "strangers"),
        (_swap_for_a_link, "strangers"),
        (lambda dest: (dest / "patients.csv").unlink(), "faults"),
        (lambda dest: (dest / "patients.csv").write_text("path\n"), "faults"),
    ],
)
def test_a_spoilt_folder_is_not_whole(spoil: Spoil, what: str, dest: Path) -> None:
    spoil(dest)

    result = check(CheckSettings(dest))

    assert not result.is_whole
    assert result.exit_code == ExitCode.FAILED
    assert getattr(result, what)


def test_each_fault_is_named(dest: Path) -> None:
    missing, resized = image(dest, 0), image(dest, 1)
    missing.unlink()
    resized.write_bytes(b"12")
    (dest / "cell_images/Parasitized/mine.png").write_bytes(b"1")

    result = check(CheckSettings(dest))

    assert result.missing == [f"Uninfected/{missing.name}"]
    assert result.resized == [f"Uninfected/{resized.name}"]
    assert result.strangers == ["Parasitized/mine.png"]
    assert result.count("parasitized") == 120


def test_damage_that_keeps_the_size_shows_when_decoded(dest: Path) -> None:
    path = image(dest)
    data = path.read_bytes()
    path.write_bytes(data[:-40] + bytes(28) + data[-12:])

    assert check(CheckSettings(dest)).is_whole
    result = check(CheckSettings(dest, decode=True))

    assert [place for place, _ in result.unreadable] == [f"Uninfected/{path.name}"]
    assert not result.is_whole


def test_a_whole_folder_decodes(fetched: Path) -> None:
    assert check(CheckSettings(fetched, decode=True)).is_whole


def without_manifest(dest: Path, archive: Archive) -> CheckResult:
    (dest / "cell_images.json").unlink(missing_ok=True)
    return check(CheckSettings(dest, published=archive))


def test_without_a_manifest_the_published_counts_must_be_there(
    dest: Path, archive: Archive
) -> None:
    assert without_manifest(dest, archive).is_whole

    (dest / "cell_images/Uninfected/notes.txt").write_text("1")
    assert without_manifest(dest, archive).strangers == ["Uninfected/notes.txt"]

    (dest / "cell_images/Uninfected/notes.txt").unlink()
    image(dest).unlink()

    assert without_manifest(dest, archive).faults == ["119 uninfected images, not 120"]


def test_an_empty_folder_is_not_whole(tmp_path: Path) -> None:
    result = check(CheckSettings(tmp_path))

    assert result.faults[0] == "0 parasitized images, not 13779"
    assert "0 patients, not 200" in result.faults


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    (tmp_path / "cell_images").write_text("a file")

    with pytest.raises(MalscanError, match="cannot read"):
        check(CheckSettings(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": "malscan.fetch/1"}', '{"a": 1}'])
def test_a_damaged_manifest_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(text)

    assert read_manifest(tmp_path / "m.json") is None
