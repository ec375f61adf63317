"""How good predictions are, with intervals from a bootstrap that draws patients, not cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malscan.model import ErrorRates

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DRAWS = 2000
"""Bootstrap draws behind each interval."""
RATE_GRID = np.round(np.arange(0.05, 0.96, 0.05), 2).astype(np.float32)
"""Thresholds that a model keeps its error rates for."""
_BINS = 15
_FIGURES = ("accuracy", "sensitivity", "specificity", "roc_auc", "expected_calibration_error")


@dataclass(frozen=True, slots=True)
class PatientResult:
    """How a model did on the cells of one patient.

    Attributes:
        patient: who.
        parasitized: cells labelled parasitized.
        uninfected: cells labelled uninfected.
        missed: parasitized cells that were called uninfected.
        false_alarms: uninfected cells that were called parasitized.
    """

    patient: str
    parasitized: int
    uninfected: int
    missed: int
    false_alarms: int

    @property
    def sensitivity(self) -> float | None:
        """Share of the parasitized cells that were found; None without any."""
        return 1 - self.missed / self.parasitized if self.parasitized else None

    @property
    def false_positive_rate(self) -> float | None:
        """Share of the uninfected cells that were called parasitized; None without any."""
        return self.false_alarms / self.uninfected if self.uninfected else None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval (percentiles of the patient bootstrap)."""

    value: float
    low: float
    high: float


def figures(
    positive: Bools,
    probability: Floats,
    patients: Sequence[str],
    threshold: float,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, Figure]:
    """Figures over cells, each with an interval over patients.

    Args:
        positive: bool [cells], whether a cell is labelled parasitized.
        probability: float [cells], calibrated probability of parasitized.
        patients: patient of each cell; whole patients are drawn with replacement.
        threshold: probability from which a cell is called parasitized.
        seed: of the draws.
        draws: number of draws.

    Returns:
        accuracy, sensitivity, specificity, ROC AUC and expected calibration error by name.
    """
    weights = _draw_weights(patients, seed, draws)
    rows = np.vstack([np.ones(len(positive)), weights])
    values = np.array([_figures_once(positive, probability, threshold, row) for row in rows])
    low, high = np.nanpercentile(values[1:], [2.5, 97.5], axis=0)
    return {
        name: Figure(float(values[0, i]), float(low[i]), float(high[i]))
        for i, name in enumerate(_FIGURES)
    }


def per_patient(
    positive: Bools, probability: Floats, patients: Sequence[str], threshold: float
) -> list[PatientResult]:
    """Results of each patient, the largest share of wrong calls first.

    Args:
        positive: bool [cells].
        probability: float [cells].
        patients: patient of each cell.
        threshold: probability from which a cell is called parasitized.
    """
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    called = probability >= threshold

    def count(chosen: Bools) -> list[int]:
        return [int(n) for n in np.bincount(index[chosen], minlength=len(names))]

    columns = (count(positive), count(~positive), count(positive & ~called))
    rows = zip(names, *columns, count(~positive & called), strict=True)
    results = [PatientResult(str(name), *numbers) for name, *numbers in rows]
    return sorted(
        results,
        key=lambda r: (-(r.missed + r.false_alarms) / (r.parasitized + r.uninfected), r.patient),
    )


def error_rates(
    positive: Bools,
    probability: Floats,
    patients: Sequence[str],
    *,
    at: float | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> ErrorRates:
    """Sensitivity and false-positive rate over a grid of thresholds, with bootstrap draws.

    Args:
        positive: bool [cells].
        probability: float [cells].
        patients: patient of each cell.
        at: a further threshold to know them at.
        seed: of the draws.
        draws: number of draws; those without a cell of either class are left out.
    """
    once = np.ones([1, len(positive)])
    weights = np.vstack([once, _draw_weights(patients, seed, draws)])
    # As a scan compares: 0.3 is 0.3 here, not the float32 next to it, which is greater.
    grid = np.union1d(RATE_GRID, np.float32(RATE_GRID[0] if at is None else at))
    thresholds = np.round(grid.astype(np.float64), 2)
    above = (probability[:, None] >= thresholds[None, :]).astype(np.float64)
    of_positive, of_negative = weights * positive, weights * ~positive
    enough = (of_positive.sum(1) > 0) & (of_negative.sum(1) > 0)
    enough[0] = True
    of_positive, of_negative = of_positive[enough], of_negative[enough]
    with np.errstate(invalid="ignore"):
        sensitivity = (of_positive @ above / of_positive.sum(1, keepdims=True)).astype(np.float32)
        false_positive = (of_negative @ above / of_negative.sum(1, keepdims=True)).astype(
            np.float32
        )
    return ErrorRates(
        thresholds=grid,
        sensitivity=sensitivity[0],
        false_positive_rate=false_positive[0],
        drawn_sensitivity=sensitivity[1:],
        drawn_false_positive_rate=false_positive[1:],
    )


def _draw_weights(patients: Sequence[str], seed: int, draws: int) -> Floats:
    """How often each cell stands in each draw of patients: float [draws, cells]."""
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, index].astype(np.float64)


def _figures_once(
    positive: Bools, probability: Floats, threshold: float, weight: Floats
) -> tuple[float, ...]:
    called = probability >= threshold
    n_positive, n_negative = weight[positive].sum(), weight[~positive].sum()
    sensitivity = _ratio(weight[positive & called].sum(), n_positive)
    specificity = _ratio(weight[~positive & ~called].sum(), n_negative)
    accuracy = weight[positive == called].sum() / weight.sum()
    return (
        float(accuracy),
        sensitivity,
        specificity,
        _weighted_auc(positive, probability, weight),
        _calibration_error(positive, probability, weight),
    )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _weighted_auc(positive: Bools, probability: Floats, weight: Floats) -> float:
    """Area under the ROC curve: P(positive ranks above negative) + half the ties."""
    values, index = np.unique(probability, return_inverse=True)
    at_positive = np.bincount(index, weight * positive, minlength=len(values))
    at_negative = np.bincount(index, weight * ~positive, minlength=len(values))
    below = np.cumsum(at_negative) - at_negative
    wins = (at_positive * (below + at_negative / 2)).sum()
    return _ratio(wins, at_positive.sum() * at_negative.sum())


def _calibration_error(positive: Bools, probability: Floats, weight: Floats) -> float:
    """Expected calibration error over equal-width bins (Naeini et al. 2015)."""
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    gap = np.bincount(bins, weight * (positive - probability), minlength=_BINS)
    return float(np.abs(gap).sum() / weight.sum())
