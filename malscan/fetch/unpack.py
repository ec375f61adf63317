"""Images out of an archive, into a folder that is not yet the one people use."""

import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from malscan.errors import MalscanError
from malscan.fetch.contents import Contents, Member, contents
from malscan.fetch.disk import check_space, space_of, writing
from malscan.labels import CLASSES

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


@contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Contents]]:
    """An archive and its table of contents.

    Raises:
        MalscanError: it is no archive, or not one that is safe to unpack.
    """
    with _explained(path):
        archive = zipfile.ZipFile(path)
    with archive:
        with _explained(path):
            found = contents(archive, path.stat().st_size)
        yield archive, found


def unpack(
    archive: zipfile.ZipFile,
    images: Sequence[Member],
    folder: Path,
    on_progress: Callable[[int], object],
) -> None:
    """Write images to a folder that is made for them; if that fails, no folder is left.

    Args:
        archive: the open archive.
        images: which of its images.
        folder: where to; what is there from an earlier run that was cut is removed.
        on_progress: called with the number of images written, after each.

    Raises:
        MalscanError: the disk is full, or the archive is damaged.
    """
    needed = space_of((image.size for image in images), folder.parent)
    remove(folder)
    check_space(folder.parent, {"images": needed}, len(images))
    try:
        for label in CLASSES:
            with writing(folder, needed):
                (folder / label.capitalize()).mkdir(parents=True)
        for done, image in enumerate(images, start=1):
            _write(archive, image, folder / image.place, needed)
            on_progress(done)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove(folder: Path) -> None:
    """Remove a folder, if it is there.

    Raises:
        MalscanError: it cannot be removed.
    """
    if folder.exists():
        with writing(folder):
            shutil.rmtree(folder)


def _write(archive: zipfile.ZipFile, image: Member, path: Path, needed: int) -> None:
    with _explained(Path(archive.filename or "")):
        # Bounded by the size in the table of contents, whatever the data would grow to.
        data = archive.read(image.entry)
        if len(data) != image.size:
            raise zipfile.BadZipFile(f"{image.place} is too short")
    with writing(path, needed):
        path.write_bytes(data)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise MalscanError(
            f"{path} is damaged, or no ZIP archive: {error}. Remove it, and get it again."
        ) from None
