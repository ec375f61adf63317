"""Counts and parasitaemia, slide by slide and in total."""

from collections.abc import Iterable
from dataclasses import dataclass

from malscan.labels import PARASITIZED
from malscan.model import ErrorRates
from malscan.parasitaemia import Estimate, apparent, corrected, why_not_corrected
from malscan.report.row import OK, Row


@dataclass(frozen=True, slots=True)
class SlideSummary:
    """One row of the summary.

    Attributes:
        slide: name of the slide; `TOTAL` for all.
        images: images found.
        classified: images with a probability.
        failed: images that could not be read.
        parasitized: images called parasitized.
        uninfected: images called uninfected.
        uncertain: images called uncertain.
        above_threshold: images with a probability at or above the threshold.
        apparent: share of classified images above the threshold, with interval.
        corrected: the same, corrected for the model's error rates; None where not known.
    """

    slide: str
    images: int
    classified: int
    failed: int
    parasitized: int
    uninfected: int
    uncertain: int
    above_threshold: int
    apparent: Estimate | None
    corrected: Estimate | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of a scan.

    Attributes:
        slides: one entry a slide, in the order of the walk.
        total: all slides together.
        not_corrected: why there is no corrected parasitaemia; None if there is.
    """

    slides: list[SlideSummary]
    total: SlideSummary
    not_corrected: str | None


class Tally:
    """Counts rows as they pass; grows with the number of slides, not of images."""

    def __init__(self) -> None:
        self._slides: dict[str, _Counts] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Count some rows."""
        for row in rows:
            counts = self._slides.setdefault(row.slide, _Counts())
            counts.images += 1
            counts.classified += row.status == OK
            counts.parasitized += row.call == PARASITIZED

    def summary(self, rates: ErrorRates | None, threshold: float) -> Summary:
        """Work out the summary.

        Args:
            rates: error rates of the model, if known.
            threshold: probability from which a cell is called parasitized.
        """
        reason = why_not_corrected(rates, threshold)
        usable = None if reason else rates
        total = _Counts()
        for counts in self._slides.values():
            total.images += counts.images
            total.classified += counts.classified
            total.parasitized += counts.parasitized
        return Summary(
            [_summarize(name, counts, usable, threshold) for name, counts in self._slides.items()],
            _summarize("TOTAL", total, usable, threshold),
            reason,
        )


@dataclass(slots=True)
class _Counts:
    images: int = 0
    classified: int = 0
    parasitized: int = 0


def _summarize(
    slide: str, counts: _Counts, rates: ErrorRates | None, threshold: float
) -> SlideSummary:
    above, classified = counts.parasitized, counts.classified
    return SlideSummary(
        slide=slide,
        images=counts.images,
        classified=classified,
        failed=counts.images - classified,
        parasitized=above,
        uninfected=classified - above,
        uncertain=0,
        above_threshold=above,
        apparent=apparent(above, classified),
        corrected=corrected(above, classified, rates, threshold) if rates else None,
    )
