"""Which slides and cells are worth a look; decided from rows alone."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from malscan.report.row import Row
from malscan.report.summary import SlideSummary

SLIDES_SHOWN = 100
"""Slides of which cells are shown."""
CELLS_SHOWN = 12
"""Cells of each kind that are shown of a slide."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The cells of one slide that are worth a look; no cell stands in two of these.

    Attributes:
        surest: at or above the threshold, highest probability first.
        doubtful: of the others, those with a probability nearest the threshold, nearest first.
        failed: images that could not be read, in the order of the scan.
    """

    surest: tuple[Row, ...]
    doubtful: tuple[Row, ...]
    failed: tuple[Row, ...]


def ranked(slides: Iterable[SlideSummary]) -> list[SlideSummary]:
    """Slides, those first that are most surely parasitized.

    That is by the lower end of the interval of the apparent parasitaemia, so that one cell out
    of one does not come before a hundred out of a thousand; then in the order of the scan. Slides
    of which no image could be read come last.
    """
    return sorted(slides, key=lambda slide: -slide.apparent.low if slide.apparent else 1.0)


def choose(
    rows: Iterable[Row], slides: Iterable[str], threshold: float, each: int = CELLS_SHOWN
) -> dict[str, Choice]:
    """Choose cells in one pass; memory grows with the number of slides, not of rows.

    Args:
        rows: all rows of the scan, in its order; those of a slide need not follow each other.
        slides: names of the slides to choose for, as rows have them.
        threshold: probability from which a cell is called parasitized.
        each: cells of each kind, at most.

    Returns:
        One entry for each of `slides`, also for one without rows.
    """
    candidates = {slide: _Candidates(each) for slide in slides}
    for place, row in enumerate(rows):
        if (of_slide := candidates.get(row.slide)) is not None:
            of_slide.add(place, row, threshold)
    return {slide: of_slide.choice(each) for slide, of_slide in candidates.items()}


class _Best:
    """The rows with the highest keys so far; of equal ones the first."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[float, int, Row]] = []

    def add(self, key: float, place: int, row: Row) -> None:
        # Places differ, so that rows are never compared.
        entry = (key, -place, row)
        if len(self._heap) < self._count:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def by_place(self) -> dict[int, Row]:
        """The rows by their places, best first."""
        return {-place: row for _, place, row in sorted(self._heap, reverse=True)}


class _Candidates:
    def __init__(self, each: int) -> None:
        self._surest = _Best(each)
        # As many again as may turn out to be among the surest.
        self._doubtful = _Best(2 * each)
        self._failed = _Best(each)

    def add(self, place: int, row: Row, threshold: float) -> None:
        if row.probability is None:
            self._failed.add(0.0, place, row)
            return
        if row.probability >= threshold:
            self._surest.add(row.probability, place, row)
        self._doubtful.add(-abs(row.probability - threshold), place, row)

    def choice(self, each: int) -> Choice:
        surest = self._surest.by_place()
        others = [row for place, row in self._doubtful.by_place().items() if place not in surest]
        return Choice(
            tuple(surest.values()), tuple(others[:each]), tuple(self._failed.by_place().values())
        )
