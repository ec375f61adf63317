"""Paths in, records of cell images out: lazily, in a fixed order, each image once."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from malscan.errors import UsageError
from malscan.labels import class_of_folder

IMAGE_SUFFIXES = frozenset(b".png .jpg .jpeg .jpe .jfif .tif .tiff .webp .bmp .dib .gif".split())


@dataclass(frozen=True, slots=True)
class CellImage:
    """One image of one red blood cell, found but not yet read.

    Attributes:
        path: path that opens the file from the current directory; bytes that are not UTF-8
            are kept as surrogates (`os.fsencode(path)` gives the original bytes).
        slide: folder that the image is counted under.
        error: why the image cannot be read, where the walk already knows; else None.
        label: `parasitized` or `uninfected` in a labelled tree; else None.
        patient: patient that the cell came from, where known; else None.
    """

    path: str
    slide: str
    error: str | None = None
    label: str | None = None
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class _Root:
    """One PATH of the command line: as typed, and what its slides are called."""

    typed: bytes
    name: bytes
    prefix: bytes

    def slide(self, relative: bytes) -> str:
        if self.prefix:
            return os.fsdecode(os.path.join(self.prefix, relative) if relative else self.prefix)
        return os.fsdecode(relative or self.name)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to visit: where it is, its place under its root, its entries still to come."""

    root: _Root
    path: bytes
    relative: bytes
    names: Iterator[bytes]
    odd: dict[bytes, os.DirEntry[bytes]]


class Walk:
    """Iterates once over the cell images under some paths.

    Order: the paths as given, depth first, entries by the bytes of their names. A folder is
    visited once (by device and inode), so links that form a loop end; a file reached by a
    symbolic link or by overlapping paths counts once (by real path); hard links are separate
    images. Memory grows with the largest flat folder, with the number of folders and with
    the number of files that were listed one by one or reached by a link, not with the number
    of images.

    Attributes:
        images: images found so far.
        skipped: entries passed over so far because they are hidden or no images.
        notes: messages about parts of the tree that were left out on purpose.
        finished: whether the walk has ended.
    """

    def __init__(self, paths: Iterable[str], *, listed: Iterable[str] = ()) -> None:
        """Prepare a walk.

        Args:
            paths: folders and files.
            listed: further paths, in the order of a list (`--files-from`).

        Raises:
            UsageError: one of `paths` does not exist.
        """
        given = list(paths)
        check_paths(given)
        self._paths = [os.fsencode(path) for path in given]
        self._listed = listed
        self.images = 0
        self.skipped = 0
        self.notes: list[str] = []
        self.finished = False
        self._real_roots = [os.path.join(os.path.realpath(path), b"") for path in self._paths]
        self._folders_seen: set[tuple[int, int]] = set()
        self._files_seen: set[int] = set()
        # The walk's own: the current folder may be another one in the next walk.
        self._real_folder = lru_cache(maxsize=64)(os.path.realpath)

    def __iter__(self) -> Iterator[CellImage]:
        several = len(self._paths) > 1
        for path in self._paths:
            yield from self._given(path, several)
        for listed in self._listed:
            yield from self._given(os.fsencode(listed), True)
        self.finished = True

    def _given(self, path: bytes, several: bool) -> Iterator[CellImage]:
        if os.path.isdir(path):
            typed = path.rstrip(b"/") or b"/"
            name = os.path.basename(os.path.realpath(path)) or b"/"
            yield from self._tree(_Root(typed, name, typed if several else b""))
        elif _is_candidate(os.path.basename(path)):
            slide = os.fsdecode(os.path.dirname(path) or b".")
            real = self._real_path(path)
            if not self._was_walked(real) and self._first_time(real):
                yield self._image(path, slide)
        else:
            self.skipped += 1

    def _tree(self, root: _Root) -> Iterator[CellImage]:
        """Walk one folder tree with a stack of its own, so that depth is no limit."""
        stack: list[_Folder] = []
        yield from self._enter(stack, root, root.typed, b"")
        while stack:
            folder = stack[-1]
            name = next(folder.names, None)
            if name is None:
                stack.pop()
                continue
            path = os.path.join(folder.path, name)
            entry = folder.odd.get(name)
            if entry is not None and _leads_to_folder(entry):
                if not self._is_nested_copy(folder.path, path):
                    relative = os.path.join(folder.relative, name)
                    yield from self._enter(stack, root, path, relative)
                continue
            yield from self._file(folder, path, entry)

    def _enter(
        self, stack: list[_Folder], root: _Root, path: bytes, relative: bytes
    ) -> Iterator[CellImage]:
        """Put a folder on the stack; a folder that cannot be listed comes out as failed."""
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in self._folders_seen:
                return
            self._folders_seen.add((status.st_dev, status.st_ino))
            names, odd = self._list(path)
        except OSError as error:
            reason = f"the folder cannot be listed: {error.strerror}"
            yield self._image(path, root.slide(relative), reason)
            return
        stack.append(_Folder(root, path, relative, iter(names), odd))

    def _list(self, path: bytes) -> tuple[list[bytes], dict[bytes, os.DirEntry[bytes]]]:
        """List a folder: names to visit in order, and the entries that are no plain files.

        Only names are kept of plain files: a directory entry costs several times as much.
        """
        names: list[bytes] = []
        odd: dict[bytes, os.DirEntry[bytes]] = {}
        with os.scandir(path) as entries:
            for entry in entries:
                plain = entry.is_file(follow_symlinks=False)
                hidden = entry.name.startswith(b".")
                if hidden or not (_is_candidate(entry.name) or _leads_to_folder(entry)):
                    self.skipped += 1
                    continue
                names.append(entry.name)
                if not plain:
                    odd[entry.name] = entry
        names.sort()
        return names, odd

    def _file(
        self, folder: _Folder, path: bytes, entry: os.DirEntry[bytes] | None
    ) -> Iterator[CellImage]:
        linked = entry is not None and entry.is_symlink()
        if linked and (self._is_inside_a_root(path) or self._was_walked(self._real_path(path))):
            return
        if linked and not self._first_time(self._real_path(path)):
            return
        # Plain files are not remembered: there may be millions, and each comes up once.
        if self._files_seen and not linked and _digest(self._real_path(path)) in self._files_seen:
            return
        yield self._image(path, folder.root.slide(folder.relative))

    def _image(self, path: bytes, slide: str, error: str | None = None) -> CellImage:
        self.images += 1
        return CellImage(os.fsdecode(path), slide, error)

    def _first_time(self, real: bytes) -> bool:
        digest = _digest(real)
        if digest in self._files_seen:
            return False
        self._files_seen.add(digest)
        return True

    def _is_inside_a_root(self, link: bytes) -> bool:
        """Whether the walk meets the target of a link as a plain file, now or later."""
        real = os.path.realpath(link)
        for root in self._real_roots:
            if real.startswith(root):
                below = real.removeprefix(root).split(b"/")
                hidden = any(part.startswith(b".") for part in below)
                return os.path.isfile(real) and _is_candidate(below[-1]) and not hidden
        return False

    def _was_walked(self, real: bytes) -> bool:
        """Whether a file has come, or will come, as an entry of a folder of this walk."""
        if not _is_candidate(os.path.basename(real)):
            return False
        if os.path.islink(real) or not os.path.lexists(real):
            return False  # a link that leads nowhere
        status = os.stat(os.path.dirname(real))
        return (status.st_dev, status.st_ino) in self._folders_seen

    def _real_path(self, path: bytes) -> bytes:
        if os.path.islink(path):
            return os.path.realpath(path)
        return os.path.join(self._real_folder(os.path.dirname(path)), os.path.basename(path))

    def _is_nested_copy(self, parent: bytes, child: bytes) -> bool:
        """Whether `child` repeats its parent's name and class folders (a known re-packing)."""
        if os.path.basename(os.path.realpath(parent)) != os.path.basename(child):
            return False
        classes = _class_folders(child)
        if not classes or not classes <= _class_folders(parent):
            return False
        self.notes.append(f"skipped {_shown(child)}: it repeats the class folders of its parent")
        return True


def check_paths(paths: Iterable[str]) -> None:
    """Make sure that paths exist.

    Raises:
        UsageError: one does not.
    """
    for path in paths:
        if not os.path.lexists(path):
            shown = _shown(os.fsencode(path))
            raise UsageError(f"no such file or folder: {shown}. Check the spelling.")


def read_list(lines: Iterable[bytes]) -> Iterator[str]:
    """Paths from a list, one a line; empty lines are passed over.

    Args:
        lines: raw lines, as of a file opened in binary mode.

    Yields:
        Paths; bytes that are not UTF-8 are kept as surrogates.

    Raises:
        UsageError: a line holds a zero byte, as lists for `xargs -0` do.
    """
    for line in lines:
        path = line.rstrip(b"\r\n")
        if b"\0" in path:
            raise UsageError("the list of paths holds zero bytes. Give one path a line.")
        if path:
            yield os.fsdecode(path)


def _digest(real: bytes) -> int:
    """64 bits stand for a real path, so that a list of a million paths stays small."""
    return int.from_bytes(blake2b(real, digest_size=8).digest(), "big")


def _is_candidate(name: bytes) -> bool:
    return not name.startswith(b".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _leads_to_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _class_folders(path: bytes) -> set[str]:
    try:
        with os.scandir(path) as entries:
            names = [os.fsdecode(entry.name) for entry in entries if _leads_to_folder(entry)]
    except OSError:
        return set()
    return {found for name in names if (found := class_of_folder(name))}


def _shown(path: bytes) -> str:
    return path.decode(errors="backslashreplace")
