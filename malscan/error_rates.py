"""How often a model errs at each threshold, with the doubt about that, for parasitaemia."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from malscan.bootstrap import DRAWS, draw_weights
from malscan.model import ErrorRates

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

RATE_GRID = np.round(np.arange(0.05, 0.96, 0.05), 2).astype(np.float32)
"""Thresholds that a model keeps its error rates for."""


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
    weights = np.vstack([once, draw_weights(patients, seed, draws)])
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
