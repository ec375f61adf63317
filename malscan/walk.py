"""Paths in, records of cell images out: lazily, in a fixed order, each image once."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from malscan.errors import MalscanError, UsageError
from malscan.image_names import is_image_name
from malscan.labels import class_of_folder
from malscan.near import did_you_mean, nearest_path
from malscan.once import Once
from malscan.selection import EVERY_IMAGE, Selection


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
    """A folder to visit: where it is, its place under its root, its entries still to come.

    `included` says that it matches `--include` as a whole.
    """

    root: _Root
    path: bytes
    relative: bytes
    included: bool
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
        left_out: files and folders left out so far because the selection does not want them.
        entries: entries of folders looked at so far, whatever became of them.
        notes: messages about parts of the tree that were left out on purpose.
        finished: whether the walk has ended.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        listed: Iterable[str] = (),
        selection: Selection = EVERY_IMAGE,
    ) -> None:
        """Prepare a walk.

        Args:
            paths: folders and files.
            listed: further paths, in the order of a list (`--files-from`).
            selection: which of the images there are wanted.

        Raises:
            UsageError: one of `paths` does not exist.
        """
        given = list(paths)
        check_paths(given)
        self._paths = [os.fsencode(path) for path in given]
        self._listed = listed
        self._selection = selection
        self._once = Once(self._paths, selection)
        self.images = 0
        self.skipped = 0
        self.left_out = 0
        self.entries = 0
        self.notes: list[str] = []
        self.finished = False

    def __iter__(self) -> Iterator[CellImage]:
        yield from islice(self._all(), self._selection.limit)
        if self.images == self._selection.limit:
            self.notes.append(f"took the first {self.images} images only (--limit)")
        if self.left_out:
            self.notes.append(f"left out {self.left_out} files and folders that were not asked for")
        self.finished = True

    def _all(self) -> Iterator[CellImage]:
        several = len(self._paths) > 1
        for path in self._paths:
            yield from self._given(path, several)
        for listed in self._listed:
            yield from self._given(os.fsencode(listed), True)

    def _given(self, path: bytes, several: bool) -> Iterator[CellImage]:
        if os.path.isdir(path):
            typed = path.rstrip(b"/") or b"/"
            name = os.path.basename(os.path.realpath(path)) or b"/"
            yield from self._tree(_Root(typed, name, typed if several else b""))
        elif not is_image_name(os.path.basename(path)):
            self.skipped += 1
        elif not self._selection.takes_single(path):
            self.left_out += 1
        elif self._once.takes_single(path):
            yield self._image(path, os.fsdecode(os.path.dirname(path) or b"."))

    def _tree(self, root: _Root) -> Iterator[CellImage]:
        """Walk one folder tree with a stack of its own, so that depth is no limit."""
        stack: list[_Folder] = []
        yield from self._enter(stack, root, root.typed, b"", not self._selection.include)
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
                    below = os.path.join(folder.relative, name)
                    included = folder.included or self._selection.includes(below, folder=True)
                    yield from self._enter(stack, root, path, below, included)
                continue
            linked = entry is not None and entry.is_symlink()
            if self._once.takes_link(path) if linked else self._once.takes_plain(path):
                yield self._image(path, root.slide(folder.relative))

    def _enter(
        self, stack: list[_Folder], root: _Root, path: bytes, relative: bytes, included: bool
    ) -> Iterator[CellImage]:
        """Put a folder on the stack; a folder that cannot be listed comes out as failed."""
        try:
            if not self._once.enters(os.stat(path), relative):
                return
            names, odd = self._list(path, relative, included)
        except OSError as error:
            reason = f"the folder cannot be listed: {error.strerror}"
            yield self._image(path, root.slide(relative), reason)
            return
        stack.append(_Folder(root, path, relative, included, iter(names), odd))

    def _list(
        self, path: bytes, relative: bytes, included: bool
    ) -> tuple[list[bytes], dict[bytes, os.DirEntry[bytes]]]:
        """List a folder: names to visit in order, and the entries that are no plain files.

        Only names are kept of plain files: a directory entry costs several times as much.
        """
        names: list[bytes] = []
        odd: dict[bytes, os.DirEntry[bytes]] = {}
        with os.scandir(path) as entries:
            for entry in entries:
                self.entries += 1
                hidden = entry.name.startswith(b".")
                folder = _leads_to_folder(entry)
                if hidden or not (folder or is_image_name(entry.name)):
                    self.skipped += 1
                elif not self._wants(entry, relative, included, folder):
                    self.left_out += 1
                else:
                    names.append(entry.name)
                    if not entry.is_file(follow_symlinks=False):
                        odd[entry.name] = entry
        names.sort()
        return names, odd

    def _wants(
        self, entry: os.DirEntry[bytes], relative: bytes, included: bool, folder: bool
    ) -> bool:
        selection = self._selection
        if folder and not selection.recursive:
            return False
        if not selection.follow_links and entry.is_symlink():
            return False
        if not selection.has_patterns:
            return True
        path = os.path.join(relative, entry.name)
        if selection.excludes(path, folder=folder):
            return False
        # Any folder may hold what is to be included.
        return folder or included or selection.includes(path, folder=False)

    def _image(self, path: bytes, slide: str, error: str | None = None) -> CellImage:
        self.images += 1
        return CellImage(os.fsdecode(path), slide, error)

    def _is_nested_copy(self, parent: bytes, child: bytes) -> bool:
        """Whether `child` repeats its parent's name and class folders (a known re-packing)."""
        if os.path.basename(os.path.realpath(parent)) != os.path.basename(child):
            return False
        classes = _class_folders(child)
        if not classes or not classes <= _class_folders(parent):
            return False
        self.notes.append(f"skipped {_shown(child)}: it repeats the class folders of its parent")
        return True


def no_image_error(walk: Walk) -> MalscanError:
    """What to raise where a walk that has ended found no image."""
    counts = {"other files were passed over": walk.skipped, "were left out as asked": walk.left_out}
    why = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return MalscanError(
        f"no image found{f' ({why})' if why else ''}. Give folders that hold PNG, JPEG, TIFF, "
        "WebP, BMP or GIF files; --allow-empty makes this an empty report."
    )


def check_paths(paths: Iterable[str]) -> None:
    """Make sure that paths exist.

    Raises:
        UsageError: one does not.
    """
    for path in paths:
        if not os.path.lexists(path):
            meant = nearest_path(path)
            shown = _shown(os.fsencode(path))
            near = did_you_mean(meant and _shown(os.fsencode(meant)), " Check the spelling.")
            raise UsageError(f"no such file or folder: {shown}.{near}")


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
