"""Parasitaemia of a slide: the share of parasitized cells, as counted and as corrected."""

from dataclasses import dataclass

import numpy as np

from malscan.model import ErrorRates

DRAWS = 2000
_LEAST_DISCRIMINATION = 0.1
_SEED = 20180418


@dataclass(frozen=True, slots=True)
class Estimate:
    """A proportion with its 95 % interval, 0..1."""

    value: float
    low: float
    high: float


def apparent(above: int, classified: int) -> Estimate | None:
    """Share of classified cells at or above the threshold, with Wilson's interval.

    Args:
        above: cells with a probability at or above the threshold.
        classified: cells with a probability.

    Returns:
        The estimate; None if no cell was classified.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209-212.
    """
    if not classified:
        return None
    # Imported here: it takes longer than everything else that a wrong command line needs.
    from scipy import stats

    interval = stats.binomtest(above, classified).proportion_ci(method="wilson")
    return Estimate(above / classified, float(interval.low), float(interval.high))


def why_not_corrected(rates: ErrorRates | None, threshold: float) -> str | None:
    """Why the error rates of a model give no correction at a threshold; None if they do."""
    if rates is None:
        return "the model was not tested on two patients of each class whom it had never seen"
    place = _on_grid(rates, threshold)
    if place is None:
        return f"the error rates of the model are not known at threshold {threshold:g}"
    discrimination = rates.sensitivity[place] - rates.false_positive_rate[place]
    if not discrimination >= _LEAST_DISCRIMINATION:  # also where it is not a number
        return f"the model hardly tells the classes apart at threshold {threshold:g}"
    return None


def corrected(above: int, classified: int, rates: ErrorRates, threshold: float) -> Estimate | None:
    """Apparent parasitaemia corrected for the known error rates of the model.

    With apparent share a, sensitivity s and false-positive rate f it is (a - f) / (s - f),
    clipped to 0..1. The interval holds the 2.5th to 97.5th percentile of seeded draws of a
    (Jeffreys' posterior) and of (s, f) (the model's bootstrap over patients).

    Args:
        above: cells with a probability at or above the threshold.
        classified: cells with a probability.
        rates: error rates of the model, for which `why_not_corrected` is None.
        threshold: probability from which a cell is called parasitized.

    Returns:
        The estimate; None if no cell was classified.

    Source: Rogan & Gladen 1978, Am. J. Epidemiol. 107, 71-76.
    """
    place = _on_grid(rates, threshold)
    if not classified or place is None:
        return None
    rng = np.random.default_rng(_SEED)
    drawn_share = rng.beta(above + 0.5, classified - above + 0.5, DRAWS)
    row = rng.integers(0, len(rates.drawn_sensitivity), DRAWS)
    drawn = _rogan_gladen(
        drawn_share,
        rates.drawn_sensitivity[row, place].astype(float),
        rates.drawn_false_positive_rate[row, place].astype(float),
    )
    (value,) = _rogan_gladen(
        np.array([above / classified]),
        rates.sensitivity[place].astype(float),
        rates.false_positive_rate[place].astype(float),
    )
    low, high = np.percentile(drawn, [2.5, 97.5])
    # The posterior leaves out 0 and 1 themselves, where an error-free model may well be.
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))


def _rogan_gladen(
    share: np.ndarray, sensitivity: np.ndarray, false_positive_rate: np.ndarray
) -> np.ndarray:
    width = np.maximum(sensitivity - false_positive_rate, _LEAST_DISCRIMINATION)
    return np.clip((share - false_positive_rate) / width, 0.0, 1.0)


def _on_grid(rates: ErrorRates, threshold: float) -> int | None:
    places = np.flatnonzero(np.isclose(rates.thresholds, threshold, atol=1e-6))
    return int(places[0]) if len(places) else None
