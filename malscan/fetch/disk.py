"""Space on the disk: asked for before it is needed, and named when it ran out all the same."""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from malscan.errors import MalscanError
from malscan.fetch.listener import in_bytes

RESERVE = 64_000_000
"""Bytes that are left free for whatever else goes on."""

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_space(folder: Path, needs: Mapping[str, int], files: int = 0) -> None:
    """Make sure that a folder has the space for what is to come.

    Args:
        folder: an existing folder.
        needs: bytes, by what they are needed for.
        files: how many files are to come.

    Raises:
        MalscanError: there is too little space; the message says how much is needed.
    """
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    asked = {**needs, "reserve": RESERVE}
    if free < sum(asked.values()):
        parts = ", ".join(f"{name} {in_bytes(count)}" for name, count in asked.items() if count)
        raise MalscanError(
            f"not enough space in {folder}: {in_bytes(sum(asked.values()))} are needed ({parts}), "
            f"{in_bytes(free)} are free. Make space, or name another DEST."
        )
    # A file system without a fixed number of files says 0.
    if status.f_files and status.f_favail < files:
        raise MalscanError(
            f"not enough room for files in {folder}: {files} are to come, the file system can "
            f"take {status.f_favail}. Remove some, or name another DEST."
        )


def space_of(sizes: Iterable[int], folder: Path) -> int:
    """Bytes that files of these sizes take up on the disk of a folder."""
    block = os.statvfs(folder).f_frsize
    return sum(-(-size // block) * block for size in sizes)


@contextlib.contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn a failure to write into an error that says what is needed.

    Args:
        path: what is written.
        needed: bytes that the work needs in all, where that is known.

    Raises:
        MalscanError: the disk is full, or the folder is not writable.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "Check that the folder is writable."
        if error.errno in _NO_SPACE:
            advice = f"{_needed(path, needed)}. Make space, and run the same command again."
        raise MalscanError(f"cannot write {path}: {reason}. {advice}") from None


def _needed(path: Path, needed: int | None) -> str:
    status = os.statvfs(next(parent for parent in path.absolute().parents if parent.exists()))
    free = f"{in_bytes(status.f_bavail * status.f_frsize)} are free now"
    return free if needed is None else f"{in_bytes(needed)} are needed, {free}"
