"""Reads one file of a model folder, which may come from a stranger."""

import errno
import os
import stat
from pathlib import Path


class RefusedPartError(Exception):
    """Why a file is not read; the text names it, without its folder."""


def read_part(path: Path, most: int) -> bytes:
    """The bytes of a file: no link that leads out of its folder, no pipe, no device.

    Args:
        path: where it is.
        most: bytes that it may have.

    Raises:
        RefusedPartError: it is none of these, too large, or cannot be read.
    """
    try:
        # Without waiting for a writer, should it be a pipe.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
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
