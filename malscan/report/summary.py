"""Counts and parasitaemia, slide by slide and in total."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from malscan.labels import PARASITIZED, UNCERTAIN
from malscan.model import ErrorRates
from malscan.parasitaemia import Estimate, apparent, corrected, why_not_corrected
from malscan.report.row import Row
from malscan.unlike import DECIMALS as UNLIKE_DECIMALS
from malscan.unlike import UsualCells

_UNLIKE_UNITS = 10**UNLIKE_DECIMALS


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
        reliable: whether enough images were classified for a parasitaemia.
        unlike: mean of the measure of its images (see `malscan.unlike`); None where not known.
        unlike_limit: mean from which a slide of so many images is warned about; None where not
            known, and for all slides together.
        unlike_warning: whether its cells are too unlike those of the training; for all slides
            together, whether those of any slide are; None where not known.
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
    reliable: bool
    unlike: float | None = None
    unlike_limit: float | None = None
    unlike_warning: bool | None = None


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

    def __init__(self, threshold: float, min_cells: int) -> None:
        """Start at zero.

        Args:
            threshold: probability from which a cell counts as parasitized.
            min_cells: classified images that a slide needs to be reliable.
        """
        self._threshold = threshold
        self._min_cells = min_cells
        self._slides: dict[str, _Counts] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Count some rows."""
        for row in rows:
            counts = self._slides.get(row.slide)
            if counts is None:
                counts = self._slides[row.slide] = _Counts()
            counts.images += 1
            if row.probability is None:
                continue
            counts.classified += 1
            counts.parasitized += row.call == PARASITIZED
            counts.uncertain += row.call == UNCERTAIN
            counts.above += row.probability >= self._threshold
            if row.unlike is not None:
                counts.measured += 1
                counts.unlike += round(row.unlike * _UNLIKE_UNITS)

    def summary(self, rates: ErrorRates | None, usual: UsualCells | None = None) -> Summary:
        """Work out the summary.

        Args:
            rates: error rates of the model, if known.
            usual: what the cells of the model's training look like, if known.
        """
        reason = why_not_corrected(rates, self._threshold)
        usable = None if reason else rates
        total = _Counts()
        for counts in self._slides.values():
            total.images += counts.images
            total.classified += counts.classified
            total.parasitized += counts.parasitized
            total.uncertain += counts.uncertain
            total.above += counts.above
            total.measured += counts.measured
            total.unlike += counts.unlike
        slides = [
            _with_unlike(self._summarize(name, counts, usable), counts, usual)
            for name, counts in self._slides.items()
        ]
        whole = self._summarize("TOTAL", total, usable)
        if usual is not None and total.measured:
            warned = any(slide.unlike_warning for slide in slides)
            whole = replace(whole, unlike=_mean_unlike(total), unlike_warning=warned)
        return Summary(slides, whole, reason)

    def _summarize(self, slide: str, counts: "_Counts", rates: ErrorRates | None) -> SlideSummary:
        above, classified = counts.above, counts.classified
        return SlideSummary(
            slide=slide,
            images=counts.images,
            classified=classified,
            failed=counts.images - classified,
            parasitized=counts.parasitized,
            uninfected=classified - counts.parasitized - counts.uncertain,
            uncertain=counts.uncertain,
            above_threshold=above,
            apparent=apparent(above, classified),
            corrected=corrected(above, classified, rates, self._threshold) if rates else None,
            reliable=classified >= self._min_cells,
        )


@dataclass(slots=True)
class _Counts:
    images: int = 0
    classified: int = 0
    parasitized: int = 0
    uncertain: int = 0
    above: int = 0
    measured: int = 0
    unlike: int = 0
    """Sum of the measures in units of their last decimal: exact, whatever the order."""


def _with_unlike(slide: SlideSummary, counts: _Counts, usual: UsualCells | None) -> SlideSummary:
    if usual is None or not counts.measured:
        return slide
    mean, limit = _mean_unlike(counts), usual.limit(counts.measured)
    return replace(slide, unlike=mean, unlike_limit=limit, unlike_warning=mean >= limit)


def _mean_unlike(counts: _Counts) -> float:
    return round(counts.unlike / counts.measured / _UNLIKE_UNITS, UNLIKE_DECIMALS)
