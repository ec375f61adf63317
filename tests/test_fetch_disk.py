"""Space is asked for first, and named when it runs out all the same."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import publish, tiny_images

from malscan.errors import MalscanError
from malscan.fetch import disk
from malscan.fetch.disk import check_space, space_of, writing
from malscan.fetch.fetch import fetch
from malscan.fetch.listener import FetchListener, in_bytes
from malscan.fetch.settings import FetchSettings


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=200", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_enough_space_is_no_error(tmp_path: Path) -> None:
    check_space(tmp_path, {"images": 1}, 1)


def test_too_little_space_says_how_much_is_needed_for_what(small_disk: Path) -> None:
    with pytest.raises(MalscanError) as caught:
        check_space(small_disk, {"archive": 5_000_000, "images": 6_000_000})

    text = "75.0 MB are needed (archive 5.0 MB, images 6.0 MB, reserve 64.0 MB), 2.1 MB are free"
    assert text in str(caught.value)


@pytest.mark.fault("a full disk")
def test_too_few_files_are_told(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "RESERVE", 0)
    check_space(small_disk, {}, 150)
    with pytest.raises(MalscanError, match="250 are to come"):
        check_space(small_disk, {}, 250)


def test_files_take_up_whole_blocks(tmp_path: Path) -> None:
    block = os.statvfs(tmp_path).f_frsize

    assert space_of([1, block, block + 1], tmp_path) == 4 * block


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "5.0 MB are needed"),
        (errno.EFBIG, "run the same command again"),
        (errno.EACCES, "is writable"),
    ],
)
def test_a_failure_to_write_says_what_to_do(number: int, text: str, tmp_path: Path) -> None:
    with pytest.raises(MalscanError) as caught, writing(tmp_path / "f", 5_000_000):
        raise OSError(number, os.strerror(number))

    assert text in str(caught.value)
    assert str(tmp_path / "f") in str(caught.value)
    assert os.strerror(number) in str(caught.value)


@pytest.mark.fault("a full disk")
def test_a_fetch_onto_a_full_disk_leaves_nothing_half(small_disk: Path, tmp_path: Path) -> None:
    archive = publish(tmp_path / "served", tiny_images(2, 3))
    zipped = tmp_path / "served/cell_images.zip"

    with pytest.raises(MalscanError, match=r"64.* are needed"):
        fetch(FetchSettings(small_disk / "d", from_file=zipped, published=archive))

    assert [path.name for path in (small_disk / "d").iterdir()] == [".cell_images.lock"]


@pytest.mark.fault("a full disk")
def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "RESERVE", 0)
    archive = publish(tmp_path / "served", tiny_images(4, 10))
    settings = FetchSettings(
        small_disk / "d", from_file=tmp_path / "served/cell_images.zip", published=archive
    )
    ballast = small_disk / "ballast"

    def fill(done: int) -> None:
        if done == 20:
            with pytest.raises(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)

    with pytest.raises(MalscanError, match=r"No space left on device.* are needed"):
        fetch(settings, FetchListener(on_progress=fill))
    assert [path.name for path in (small_disk / "d").iterdir()] == [".cell_images.lock"]

    ballast.unlink()
    assert fetch(settings).found.is_whole


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (353_452_851, "353.5 MB"),
        (2 * 10**12, "2.0 TB"),
    ],
)
def test_bytes_are_told_in_fitting_units(count: int, text: str) -> None:
    assert in_bytes(count) == text
