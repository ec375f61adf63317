"""The doubt band that a model recommends, from probabilities of held-out cells."""

import numpy as np
import numpy.typing as npt

from malscan.doubt import Band
from malscan.training.calibrate import Bools, Floats

RIGHT_OUTSIDE = 0.98
"""Share of the cells outside the band that are to be called right."""

MOST_INSIDE = 0.10
"""Share of the cells that may lie in the band: people are to look at them."""

LEAST_CELLS = 200
"""Cells that a band is chosen on: of fewer, 98 % right is a matter of three errors or four."""

_GRID = np.round(np.linspace(0, 1, 101), 2)
_ROUNDING = 1e-9
"""Sums of weights that ought to be the same differ by less."""


def recommend_band(
    probability: Floats, positive: Bools, weights: npt.NDArray[np.float32], threshold: float
) -> tuple[Band | None, str]:
    """The band around a threshold that holds the fewest cells and leaves the others in no doubt.

    Of all bands with bounds 0.00, 0.01, ... 1.00 around the threshold, outside of which at least
    `RIGHT_OUTSIDE` of the cells are called right, the one with the fewest cells inside; of
    several, the narrowest. This is Chow's rule with the rate of errors fixed instead of the
    cost of a rejection.

    Source: Chow 1970, On optimum recognition error and reject tradeoff, IEEE Trans. Inf. Theory
    16, 41-46.

    Args:
        probability: float [cells], calibrated, of the validation part.
        positive: bool [cells].
        weights: float [2], weight of each class, as in training and calibration.
        threshold: probability from which a cell is called parasitized.

    Returns:
        The band, None where none is needed or possible, and a clause that says how it was chosen.
    """
    cells = len(probability)
    if cells < LEAST_CELLS:
        return None, f"{cells} validation cells are too few, {LEAST_CELLS} are needed"
    weight = np.where(positive, weights[0], weights[1]).astype(np.float64)
    weight /= weight.sum()
    right = (probability >= threshold) == positive
    if weight[right].sum() >= RIGHT_OUTSIDE - _ROUNDING:
        share = 100 * weight[right].sum()
        return None, f"{share:.1f} % of the validation cells are called right without one"
    lows, highs = _GRID[threshold >= _GRID], _GRID[threshold <= _GRID]
    inside = _between(probability, weight, lows, highs)
    outside = 1 - inside
    right_outside = weight[right].sum() - _between(probability, weight * right, lows, highs)
    good = right_outside >= RIGHT_OUTSIDE * outside - _ROUNDING
    good &= inside <= MOST_INSIDE + _ROUNDING
    if not good.any():
        return None, (
            f"no band with at most {100 * MOST_INSIDE:g} % of the validation cells leaves "
            f"{100 * RIGHT_OUTSIDE:g} % of the others called right"
        )
    width = highs[np.newaxis, :] - lows[:, np.newaxis]
    cost = np.where(good, inside.round(9) + _ROUNDING * width, np.inf)
    low, high = np.unravel_index(np.argmin(cost), cost.shape)
    share = 100 * right_outside[low, high] / outside[low, high]
    return (float(lows[low]), float(highs[high])), (
        f"it holds {100 * inside[low, high]:.1f} % of the validation cells, and {share:.1f} % of "
        "the others are called right"
    )


def _between(probability: Floats, weight: Floats, lows: Floats, highs: Floats) -> Floats:
    """Weight of the cells from a low bound on and below a high one, float64 [lows, highs]."""
    order = np.argsort(probability, kind="stable")
    summed = np.concatenate([np.zeros(1), np.cumsum(weight[order])])
    below_low, below_high = (
        summed[np.searchsorted(probability[order], bounds, side="left")] for bounds in (lows, highs)
    )
    return np.asarray(below_high[np.newaxis, :] - below_low[:, np.newaxis], np.float64)
