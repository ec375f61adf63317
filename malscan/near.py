"""What a mistyped name was probably meant to be."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

_ENTRIES = 1000
"""Names in a folder that are compared at most: a message must not wait for a full drive."""


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that is most like another, in any case; None where none is much like it.

    Args:
        name: what was typed.
        known: what could have been meant.
        likeness: least share of common letters, 0..1 (see `difflib.SequenceMatcher.ratio`).

    >>> nearest("Uninfekted", ["parasitized", "uninfected"])
    'uninfected'
    """
    by_small_letters = {other.lower(): other for other in reversed(list(known))}
    found = get_close_matches(name.lower(), by_small_letters, n=1, cutoff=likeness)
    return by_small_letters[found[0]] if found else None


def nearest_path(path: str) -> str | None:
    """An existing path that differs from one that does not exist in one mistyped name."""
    names = path.split("/")
    for number, name in enumerate(names):
        if not os.path.lexists("/".join(names[: number + 1]) or "/"):
            parent = "/".join(names[:number])
            near = nearest(name, _entries(parent if number else "."))
            if near is None:
                return None
            meant = "/".join([*names[:number], near, *names[number + 1 :]])
            return meant if os.path.lexists(meant) else None
    return None


def did_you_mean(meant: str | None, otherwise: str = "") -> str:
    """A question to end a message with, after a space; `otherwise` where nothing is near."""
    return f" Did you mean {meant}?" if meant else otherwise


def _entries(folder: str) -> list[str]:
    try:
        with os.scandir(folder or "/") as entries:
            return [entry.name for entry in islice(entries, _ENTRIES)]
    except OSError:
        return []
