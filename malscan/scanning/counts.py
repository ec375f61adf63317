"""Counts of what became of the images of a scan."""

from collections import Counter
from collections.abc import Iterable

from malscan.report.row import Row
from malscan.scanning.in_order import Outcome

SHOWN = 10
"""Names that are kept of images that were not scored; reports hold all."""


class Counts:
    """Counts outcomes as they pass.

    Attributes:
        done: images dealt with.
        reused: of these, images whose result an earlier run has computed.
        unreadable: images that could not be read.
        unreadable_by_slide: the same, by slide, in the order of the walk.
        unsettled: images left for the next run, because they had just been changed.
        grey: images without colour, by slide.
        failures: rows of the first few images that could not be read.
        left: rows of the first few images left for the next run.
    """

    def __init__(self) -> None:
        self.done = 0
        self.reused = 0
        self.unreadable = 0
        self.unreadable_by_slide: Counter[str] = Counter()
        self.unsettled = 0
        self.grey: Counter[str] = Counter()
        self.failures: list[Row] = []
        self.left: list[Row] = []

    def add(self, outcomes: Iterable[Outcome], rows: Iterable[Row]) -> None:
        """Count some outcomes and their rows."""
        for outcome, row in zip(outcomes, rows, strict=True):
            self.done += 1
            self.reused += outcome.reused
            self.grey.update([row.slide] if outcome.prediction.grey else [])
            if outcome.prediction.unsettled:
                self.unsettled += 1
                _keep(self.left, row)
            elif row.error is not None:
                self.unreadable += 1
                self.unreadable_by_slide[row.slide] += 1
                _keep(self.failures, row)


def _keep(some: list[Row], row: Row) -> None:
    if len(some) < SHOWN:
        some.append(row)
