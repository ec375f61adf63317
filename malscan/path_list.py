"""Lists of paths (`--files-from`): one a line, or each ended by a zero byte."""

import os
from collections.abc import Iterator
from typing import BinaryIO

from malscan.errors import UsageError

_BLOCK = 65536


def read_list(file: BinaryIO, *, null: bool = False) -> Iterator[str]:
    """Paths from a list; empty ones are passed over.

    Args:
        file: open for reading bytes.
        null: whether a zero byte ends each path (as of `find -print0`), not a line end.

    Yields:
        Paths; bytes that are not UTF-8 are kept as surrogates.

    Raises:
        UsageError: a line holds a zero byte.
    """
    for path in _ended_by_zero(file) if null else _lines(file):
        if path:
            yield os.fsdecode(path)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    for line in file:
        if b"\0" in line:
            raise UsageError(
                "the list of paths holds zero bytes. Add --null (-0), or give one path a line."
            )
        yield line.rstrip(b"\r\n")


def _ended_by_zero(file: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while block := file.read(_BLOCK):
        *whole, rest = (rest + block).split(b"\0")
        yield from whole
    yield rest
