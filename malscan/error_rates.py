"""How often a model errs at each threshold, with the doubt about that, for parasitaemia."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from malscan.bootstrap import DRAWS, draw_units
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
    owner, some = draw_units(patients, seed, draws)
    # By patient, since draws of all cells would fill the memory.
    drawn = np.vstack(list(some))
    counts = np.vstack([np.ones([1, drawn.shape[1]]), drawn])
    # As a scan compares: 0.3 is 0.3 here, not the float32 next to it, which is greater.
    grid = np.union1d(RATE_GRID, np.float32(RATE_GRID[0] if at is None else at))
    thresholds = np.round(grid.astype(np.float64), 2)
    above = (probability[:, None] >= thresholds[None, :]).astype(np.float64)

    def shares(chosen: Bools) -> Floats:
        of_patient = np.zeros([counts.shape[1], len(thresholds) + 1])
        np.add.at(of_patient, owner[chosen], np.insert(above[chosen], 0, 1.0, axis=1))
        summed = counts @ of_patient
        with np.errstate(invalid="ignore"):
            return summed[:, 1:] / summed[:, :1]

    true, false = shares(positive), shares(~positive)
    enough = np.isfinite(true[:, 0]) & np.isfinite(false[:, 0])
    enough[0] = True
    sensitivity, false_positive = (rate[enough].astype(np.float32) for rate in (true, false))
    return ErrorRates(
        thresholds=grid,
        sensitivity=sensitivity[0],
        false_positive_rate=false_positive[0],
        drawn_sensitivity=sensitivity[1:],
        drawn_false_positive_rate=false_positive[1:],
    )
