"""Reads one file of a model folder, which may come from a stranger."""

import errno
import os
import stat
from pathlib import Path


class RefusedPartError(Exception):
    """Why a file is not read; the text names it, without its folder."""


def read_part(path: Path, most: int, *, links: bool = False) -> bytes:
    """The bytes of a file: no link that leads out of its folder, no pipe, no device.

    Args:
        path: where it is.
        most: bytes that it may have.
        links: whether it may be a link all the same.

    Raises:
        RefusedPartError: it is none of these, too large, or cannot be read.
    """
    # Without waiting for a writer, should it be a pipe.
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW)
    try:
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise RefusedPartError(f"{path.name} is not a regular file")
            content = file.read(most + 1)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RefusedPartError(
                f"{path.name} is a link, and a model must hold its files itself (cp -rL does that)"
            ) from None
        raise RefusedPartError(f"{path.name}: {error.strerror}") from None
    if len(content) > most:
        raise RefusedPartError(f"{path.name} is larger than {most // 10**6} MB")
    return content
