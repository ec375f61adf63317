"""A bootstrap that draws whole patients, and the figures of thousands of draws at once.

The cells of one patient are alike, so patients are drawn and not cells (the cluster bootstrap;
Field and Welsh 2007, J. R. Stat. Soc. B 69, 369-390). The figures are those of scikit-learn,
computed on weights for all draws in a few matrix operations: one call after another would take
minutes.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DRAWS = 2000
"""Bootstrap draws behind each interval."""
BINS = 15
"""Bins of equal width of the expected calibration error."""
_WEIGHTS_AT_ONCE = 2_000_000
"""Weights that are worked on at a time, to bound the memory."""


def draw_weights(units: Sequence[str], seed: int, draws: int = DRAWS) -> Floats:
    """How often each cell stands in each draw: float [draws, cells].

    Args:
        units: patient of each cell; as many as there are are drawn, with replacement.
        seed: of the draws.
        draws: number of draws.
    """
    index, some = draw_units(units, seed, draws)
    return np.vstack([counts[:, index] for counts in some])


def draw_units(
    units: Sequence[str], seed: int, draws: int = DRAWS
) -> tuple[npt.NDArray[np.intp], Iterator[Floats]]:
    """Draw units with replacement, so many at a time that cells of all of them fit into memory.

    Args:
        units: patient of each cell.
        seed: of the draws.
        draws: number of draws.

    Returns:
        The number of the unit of each cell, int [cells], and how often each unit stands in some
        draws: float [some, units], all together `draws` rows.
    """
    names, index = np.unique(np.asarray(units), return_inverse=True)
    rng = np.random.default_rng(seed)
    share = np.full(len(names), 1 / len(names))
    step = max(1, _WEIGHTS_AT_ONCE // max(1, len(index)))
    return index, (
        rng.multinomial(len(names), share, size=min(step, draws - start)).astype(np.float64)
        for start in range(0, draws, step)
    )


def drawn_statistics(
    units: Sequence[str],
    positive: Bools,
    probability: Floats,
    threshold: float,
    *,
    prevalence: float | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, Floats]:
    """The figures in each draw of units, float [draws]; NaN where one is not defined.

    Args:
        units: patient of each cell; the same units and seed give the same draws.
        positive: bool [cells], whether a cell is labelled parasitized.
        probability: float [cells].
        threshold: probability from which a cell is called parasitized.
        prevalence: share of parasitized cells to give predictive values at.
        seed: of the draws.
        draws: number of draws.
    """
    index, some = draw_units(units, seed, draws)
    parts = [
        statistics(counts[:, index], positive, probability, threshold, prevalence)
        for counts in some
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def statistics(
    weights: Floats,
    positive: Bools,
    probability: Floats,
    threshold: float,
    prevalence: float | None = None,
) -> dict[str, Floats]:
    """The figures of weighted cells, for each row of weights.

    Args:
        weights: float [rows, cells], how often each cell counts.
        positive: bool [cells].
        probability: float [cells].
        threshold: probability from which a cell is called parasitized.
        prevalence: share of parasitized cells to give predictive values at.

    Returns:
        float [rows] by name of the figure; NaN where it is not defined.
    """
    called = probability >= threshold
    tp, fn = weights @ (positive & called), weights @ (positive & ~called)
    fp, tn = weights @ (~positive & called), weights @ (~positive & ~called)
    both = (tp + fn > 0) & (tn + fp > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        found = {
            "accuracy": (tp + tn) / (tp + tn + fp + fn),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": tp / (tp + fp),
            "npv": tn / (tn + fn),
            "f1": np.where(both, 2 * tp / (2 * tp + fp + fn), np.nan),
            "mcc": np.where(both, _mcc(tp, tn, fp, fn), np.nan),
        }
        if prevalence is not None:
            true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
            cleared, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
            # Bayes' rule.
            found["ppv_at_prevalence"] = true / (true + false)
            found["npv_at_prevalence"] = cleared / (cleared + missed)
    return (
        found | _ranking(weights, positive, probability) | _scores(weights, positive, probability)
    )


def _mcc(tp: Floats, tn: Floats, fp: Floats, fn: Floats) -> Floats:
    """Matthews' correlation; 0 where all calls are alike, as scikit-learn has it."""
    scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.where(scale > 0, (tp * tn - fp * fn) / np.where(scale > 0, scale, 1), 0.0)


def _ranking(weights: Floats, positive: Bools, probability: Floats) -> dict[str, Floats]:
    """ROC AUC (trapezoids) and average precision (steps), as scikit-learn defines them."""
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    # A threshold can only lie between different probabilities: ties count together.
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true = np.cumsum(weights[:, order] * positive[order], axis=1)[:, last]
    false = np.cumsum(weights[:, order] * ~positive[order], axis=1)[:, last]
    zero = np.zeros([len(weights), 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr = np.hstack([zero, true / true[:, -1:]])
        fpr = np.hstack([zero, false / false[:, -1:]])
        precision = np.where(true + false > 0, true / (true + false), 0.0)
    area = (np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1]) / 2).sum(axis=1)
    steps = (np.diff(tpr, axis=1) * precision).sum(axis=1)
    average_precision = np.where(false[:, -1] > 0, steps, np.nan)
    return {"roc_auc": area, "average_precision": average_precision}


def _scores(weights: Floats, positive: Bools, probability: Floats) -> dict[str, Floats]:
    """Brier score, and expected calibration error (Naeini et al. 2015, AAAI)."""
    whole = weights.sum(axis=1)
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    of_bin = np.eye(BINS)[bins] * (positive - probability)[:, None]
    return {
        "brier_score": weights @ (probability - positive) ** 2 / whole,
        "expected_calibration_error": np.abs(weights @ of_bin).sum(axis=1) / whole,
    }
