"""Keeps an image from coming twice, however many paths and links lead to it."""

import os
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from malscan.image_names import is_image_name
from malscan.selection import Selection


class Once:
    """What one walk has met.

    A folder is known by device and inode, a file that was named by itself or reached by a link
    by its real path. Plain files in folders are not remembered: there may be millions, and each
    comes up once in a folder that is visited once.
    """

    def __init__(self, roots: Iterable[bytes], selection: Selection) -> None:
        self._selection = selection
        self._real_roots = [os.path.join(os.path.realpath(root), b"") for root in roots]
        # Where each folder lies under its root; of use only where patterns tell files apart.
        self._folders: dict[tuple[int, int], bytes] = {}
        self._files: set[int] = set()
        # The walk's own: the current folder may be another one in the next walk.
        self._real_folder = lru_cache(maxsize=64)(os.path.realpath)

    def enters(self, folder: os.stat_result, relative: bytes) -> bool:
        """Whether a folder is met for the first time.

        Args:
            folder: its status.
            relative: its path below the root of the walk.
        """
        key = (folder.st_dev, folder.st_ino)
        if key in self._folders:
            return False
        self._folders[key] = relative if self._selection.has_patterns else b""
        return True

    def takes_single(self, path: bytes) -> bool:
        """Whether a file that was named by itself has not come before."""
        real = self._real_path(path)
        return not self._was_walked(real) and self._first_time(real)

    def takes_link(self, path: bytes) -> bool:
        """Whether a linked file in a folder has not come before and will not come otherwise."""
        if self._is_below_a_root(path):
            return False
        return self.takes_single(path)

    def takes_plain(self, path: bytes) -> bool:
        """Whether a plain file in a folder has not come before by another name."""
        return not self._files or _digest(self._real_path(path)) not in self._files

    def _first_time(self, real: bytes) -> bool:
        digest = _digest(real)
        if digest in self._files:
            return False
        self._files.add(digest)
        return True

    def _is_below_a_root(self, link: bytes) -> bool:
        """Whether the walk meets the target of a link as a plain file, now or later."""
        real = os.path.realpath(link)
        for root in self._real_roots:
            if real.startswith(root):
                below = real.removeprefix(root)
                names = below.split(b"/")
                hidden = any(name.startswith(b".") for name in names)
                met = is_image_name(names[-1]) and not hidden and self._selection.takes(below)
                return met and os.path.isfile(real)
        return False

    def _was_walked(self, real: bytes) -> bool:
        """Whether a file has come, or will come, as an entry of a folder of this walk."""
        folder, name = os.path.split(real)
        if not is_image_name(name):
            return False
        if os.path.islink(real) or not os.path.lexists(real):
            return False  # a link that leads nowhere
        status = os.stat(folder)
        relative = self._folders.get((status.st_dev, status.st_ino))
        return relative is not None and self._selection.takes(os.path.join(relative, name))

    def _real_path(self, path: bytes) -> bytes:
        if os.path.islink(path):
            return os.path.realpath(path)
        return os.path.join(self._real_folder(os.path.dirname(path)), os.path.basename(path))


def _digest(real: bytes) -> int:
    """64 bits stand for a real path, so that a list of a million paths stays small."""
    return int.from_bytes(blake2b(real, digest_size=8).digest(), "big")
