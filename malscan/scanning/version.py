"""Whether an image is still the one that was read: size, time of change, or content."""

import hashlib
import os
import stat
import time
from dataclasses import dataclass

_TICK_NS = 50_000_000
"""More than a step of any clock that file systems stamp files by, nanoseconds."""
_COARSE_TICK_NS = 2_000_000_000
"""The step of file systems that keep no fractions of a second."""
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a file.

    Attributes:
        size: bytes.
        modified: when it was last modified, ns since 1970; None where that was so short a
            time ago that a later change might bear the same time.
        content: SHA-256 of the file; None if it was not asked for.
        age: seconds since it was modified, by this machine's clock.
    """

    size: int
    modified: int | None
    content: bytes | None
    age: float

    def is_same(self, size: int, modified: int | None, content: bytes | None) -> bool:
        """Whether a file was in this state before, by content where that is known of this one."""
        if self.content is not None:
            return content == self.content
        return self.modified is not None and (size, modified) == (self.size, self.modified)


def version_of(path: str, *, with_content: bool) -> Version | None:
    """The present state of a file; None if it cannot be told, as of what is no regular file.

    Args:
        path: of the file.
        with_content: read the file, too.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        content = _digest(path) if with_content else None
    except (OSError, ValueError):
        return None
    age = time.time_ns() - status.st_mtime_ns
    coarse = status.st_mtime_ns % 1_000_000_000 == 0
    fresh = abs(age) < (_COARSE_TICK_NS if coarse else _TICK_NS)
    known = not fresh and 0 <= status.st_mtime_ns < _LARGEST
    return Version(status.st_size, status.st_mtime_ns if known else None, content, age / 1e9)


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
