"""Whom a fetch tells how it goes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from malscan.errors import StoppedError


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the work that takes a while.

    Attributes:
        name: what is done, for people.
        unit: what is counted: `B` (bytes) or `images`.
        total: how many there are in all; None where nobody knows.
        done: how many are done already.
    """

    name: str
    unit: str
    total: int | None
    done: int = 0


@dataclass(frozen=True, slots=True)
class FetchListener:
    """Whom to tell; an exception from a call ends the fetch, which can be gone on with later.

    Attributes:
        on_phase: called when a phase begins.
        on_progress: called with how many of the phase are done, often, and several times a
            second even while nothing comes over the line.
        on_message: called with one line about what goes on.
    """

    on_phase: Callable[[Phase], object] = lambda phase: None
    on_progress: Callable[[int], object] = lambda done: None
    on_message: Callable[[str], object] = lambda text: None


SILENT = FetchListener()


def with_advice(stop: StoppedError, kept: str) -> StoppedError:
    """The same stop, saying also what is kept and how to go on."""
    return StoppedError(stop.exit_code, f"{stop}; {kept}, and the same command goes on from there")


@contextmanager
def stop_explained(kept: str) -> Iterator[None]:
    """Let whatever stop comes out say what is kept and how to go on."""
    try:
        yield
    except StoppedError as stop:
        raise with_advice(stop, kept) from None


def in_bytes(count: int) -> str:
    """A number of bytes for people.

    >>> in_bytes(353_452_851)
    '353.5 MB'
    """
    if count < 1000:
        return f"{count} bytes"
    amount, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if amount < 999.95:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}"
