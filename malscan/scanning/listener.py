"""Whom a scan tells how it goes."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is.

    Attributes:
        done: images dealt with.
        failed: of these, images that could not be read.
        total: images in all; None until the walk has ended.
    """

    done: int
    failed: int
    total: int | None


@dataclass(frozen=True, slots=True)
class ScanListener:
    """Calls that a scan makes.

    Attributes:
        on_progress: called after each batch.
        on_message: one line about what goes on.
        check: called often, also while the scan waits; a `StoppedError` that it raises ends the
            scan, and what was computed is kept.
    """

    on_progress: Callable[[Progress], object] = lambda progress: None
    on_message: Callable[[str], object] = lambda text: None
    check: Callable[[], object] = lambda: None
