"""How many cells have which probability."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from malscan.report.row import Row

BINS = 20


class Histogram:
    """Counts probabilities as rows pass.

    Attributes:
        counts: cells with a probability from i / BINS up to (i + 1) / BINS; 1 is in the last.
    """

    def __init__(self) -> None:
        self.counts = [0] * BINS

    def add(self, rows: Iterable[Row]) -> None:
        """Count some rows; failed images have no probability and do not count."""
        for row in rows:
            if row.probability is not None:
                self.counts[min(int(row.probability * BINS), BINS - 1)] += 1


@dataclass(frozen=True, slots=True)
class HistogramBar:
    """One bar; places and lengths in percent of the picture, from its upper left corner.

    Attributes:
        span: the probabilities that it stands for.
        count: cells with one of them.
        left: where it begins.
        top: where it ends above.
        height: how high it is.
    """

    span: str
    count: str
    left: str
    top: str
    height: str


def bars(counts: Sequence[int]) -> tuple[HistogramBar, ...]:
    """The bars, in a logarithmic scale: most cells are called with hardly any doubt."""
    most = max(counts)
    found = []
    for place, count in enumerate(counts):
        height = _height(count, most)
        span = f"{place / BINS:.2f}\u2013{(place + 1) / BINS:.2f}"
        left, top = f"{100 * place / BINS:g}", f"{100 - height:.4g}"
        found.append(HistogramBar(span, f"{count:,}", left, top, f"{height:.4g}"))
    return tuple(found)


def ticks(counts: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """Counts to draw a line for, each with its place in percent from above."""
    most = max(counts)
    powers = range(len(str(most)))
    return tuple((f"{10**n:,}", f"{100 - _height(10**n, most):.4g}") for n in powers)


def _height(count: int, most: int) -> float:
    """Height in percent of the highest bar; 0 for none, and one cell can be seen."""
    return 100 * math.log1p(count) / math.log1p(most) if most else 0.0
