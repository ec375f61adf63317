"""How unlike the cells of the training an image is, and from where on a slide is warned about."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

STATISTICS = (
    *("cell_area", "dark_rim", "corners"),
    *("red", "green", "blue", "red_spread", "green_spread", "blue_spread"),
    *("red_with_green", "green_with_blue", "red_with_blue"),
    *("fine_detail", "coarse_detail", "fine_colour_red_green", "fine_colour_green_blue"),
)
"""What `malscan.appearance` measures, in its order."""

DECIMALS = 4
"""Decimals of the measure: it comes from some thousand cells, and holds no more."""

HIGHEST_LIMIT = 0.99
"""However few cells a slide has, and however little is known of patients: above this mean, its
cells are nearly all stranger than nearly all cells of the training."""

_TAIL = 0.005
"""Share of slides of fresh patients that may exceed the limit, if their means are normal."""

_MEAN = 0.5
"""Mean over the cells of the training: the measure is a share of them."""


@dataclass(frozen=True, slots=True)
class UsualCells:
    """What the cells of a training look like, and how much that differs between patients.

    Attributes:
        centre: float32 [statistics], mean of the statistics of `malscan.appearance`.
        whitening: float32 [statistics, statistics]; differences from the centre times this have
            unit covariance.
        distances: float32 [levels], ascending: the distances that evenly spaced shares of the
            cells, from none to all, do not exceed, each cell measured from patients other than
            its own.
        between: standard deviation between patients of their mean measure; infinite where
            patients are not known.
        within: standard deviation of the measure between the cells of one patient.
        patients: number of patients; 0 where they are not known.
    """

    centre: npt.NDArray[np.float32]
    whitening: npt.NDArray[np.float32]
    distances: npt.NDArray[np.float32]
    between: float
    within: float
    patients: int

    def unlike(self, distances: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The measure of some images: the share of training cells that are less unusual.

        Args:
            distances: float [images], from the usual cells.

        Returns:
            float64 [images], 0..1, rounded to `DECIMALS`.
        """
        levels = np.linspace(0, 1, len(self.distances))
        measure = np.interp(distances.astype(np.float64), self.distances, levels)
        return np.round(measure, DECIMALS)

    def limit(self, images: int) -> float:
        """Mean measure from which a slide is warned about.

        The means of slides of this many cells, each of a patient of its own, have the variance
        `between`^2 + `within`^2 / images. The limit is the upper end of the prediction interval
        for one more patient, at most `HIGHEST_LIMIT`.

        Args:
            images: images of the slide that have a measure, at least 1.

        Returns:
            The limit, 0..1, rounded to `DECIMALS`.

        Source: prediction interval for one further value of a normal sample, Student 1908;
            e.g. Hahn & Meeker 1991, Statistical Intervals, section 4.7.
        """
        if self.patients < 2:
            return HIGHEST_LIMIT
        spread = math.sqrt(self.between**2 + self.within**2 / images)
        return round(min(HIGHEST_LIMIT, _MEAN + _factor(self.patients) * spread), DECIMALS)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it as arrays, to be kept in a file."""
        return {
            "centre": self.centre,
            "whitening": self.whitening,
            "distances": self.distances,
            "spread": np.array([self.between, self.within]),
            "patients": np.array([self.patients]),
        }


@cache
def _factor(patients: int) -> float:
    """Standard deviations of a sample up to the end of its prediction interval."""
    # Imported here: it takes longer than everything else that a wrong command line needs.
    from scipy import stats

    return float(stats.t.ppf(1 - _TAIL, patients - 1)) * math.sqrt(1 + 1 / patients)


def usual_cells_from(arrays: dict[str, npt.NDArray[Any]]) -> UsualCells:
    """What `UsualCells.arrays` gave.

    Args:
        arrays: the arrays, of a file that may be anybody's.

    Raises:
        KeyError: an array is missing.
        ValueError: an array cannot be what its name says.
    """
    statistics = len(STATISTICS)
    centre, whitening, distances = (arrays[n] for n in ("centre", "whitening", "distances"))
    if centre.shape != (statistics,) or whitening.shape != (statistics, statistics):
        raise ValueError("unlike: other statistics than those of this version")
    if not all(np.isfinite(array).all() for array in (centre, whitening, distances)):
        raise ValueError("unlike: not finite numbers")
    if distances.ndim != 1 or len(distances) < 2 or (np.diff(distances) < 0).any():
        raise ValueError("unlike: distances do not ascend")
    between, within = arrays["spread"]
    (patients,) = arrays["patients"]
    if not (between >= 0 and within >= 0 and 0 <= patients < 2**31):
        raise ValueError("unlike: spread or patients")
    return UsualCells(
        centre=centre.astype(np.float32),
        whitening=whitening.astype(np.float32),
        distances=distances.astype(np.float32),
        between=float(between),
        within=float(within),
        patients=int(patients),
    )
