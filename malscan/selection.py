"""Which of the images below some paths are wanted: patterns, depth, links, number."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from malscan.errors import UsageError


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the images below some paths are wanted.

    A pattern without a slash matches the name of a file or folder at any depth; one with a slash
    matches the path below PATH, from its beginning to its end. `*`, `?` and `[...]` match within
    a name, `**` between slashes stands for any number of folders (none, too), and a slash at the
    end asks for a folder. What lies in a matched folder is matched with it. Names that are not
    UTF-8 are matched as well: `?` then stands for one byte.

    Attributes:
        include: patterns, one of which an image must match; none lets every image in.
        exclude: patterns of which an image must match none; an excluded folder is not entered.
        recursive: whether the folders below a path are entered.
        follow_links: whether symbolic links below a path are followed.
        limit: how many images a walk brings out at most; None for all.

    Raises:
        UsageError: a pattern is empty, or the limit is below 1.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    recursive: bool = True
    follow_links: bool = True
    limit: int | None = None

    def __post_init__(self) -> None:
        for option, patterns in (("--include", self.include), ("--exclude", self.exclude)):
            if not all(pattern.strip("/") for pattern in patterns):
                raise UsageError(f"{option} needs a pattern, such as '*.tif' or 'slide-0*/bad'")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit {self.limit} is below 1")

    @property
    def has_patterns(self) -> bool:
        """Whether names matter at all."""
        return bool(self.include or self.exclude)

    def excludes(self, path: bytes, *, folder: bool) -> bool:
        """Whether a file or folder at a path below PATH is excluded itself."""
        return _any_matches(self.exclude, path, folder)

    def includes(self, path: bytes, *, folder: bool) -> bool:
        """Whether a file or folder at a path below PATH is included itself."""
        return not self.include or _any_matches(self.include, path, folder)

    def takes(self, path: bytes) -> bool:
        """Whether a walk brings out the plain file at a path below PATH."""
        names = path.split(b"/")
        if len(names) > 1 and not self.recursive:
            return False
        if not self.has_patterns:
            return True
        above = [b"/".join(names[:depth]) for depth in range(1, len(names))]
        if self.excludes(path, folder=False) or any(self.excludes(p, folder=True) for p in above):
            return False
        return self.includes(path, folder=False) or any(
            self.includes(p, folder=True) for p in above
        )

    def takes_single(self, path: bytes) -> bool:
        """Whether a file that was named by itself is wanted: by its name and its path as given."""
        if path.startswith(b"./"):
            path = path[2:]
        path = path.lstrip(b"/")
        return not self.excludes(path, folder=False) and self.includes(path, folder=False)


EVERY_IMAGE = Selection()


def _any_matches(patterns: Sequence[str], path: bytes, folder: bool) -> bool:
    # As text with surrogates, so that `?` is one letter even where a letter is several bytes.
    return any(_matches(pattern, os.fsdecode(path), folder) for pattern in patterns)


def _matches(pattern: str, path: str, folder: bool) -> bool:
    if pattern.endswith("/"):
        if not folder:
            return False
        pattern = pattern.rstrip("/")
    if "/" not in pattern:
        return fnmatchcase(path.rpartition("/")[2], pattern)
    return _match_parts(pattern.removeprefix("./").strip("/").split("/"), path.split("/"))


def _match_parts(patterns: Sequence[str], names: Sequence[str]) -> bool:
    if not patterns:
        return not names
    first, rest = patterns[0], patterns[1:]
    if first == "**":
        return any(_match_parts(rest, names[skipped:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], first) and _match_parts(rest, names[1:])
