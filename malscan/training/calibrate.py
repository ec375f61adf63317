"""From raw network output to calibrated probabilities, and the threshold of a call."""

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.optimize import minimize_scalar

from malscan.errors import MalscanError
from malscan.pipeline import full_batch
from malscan.predictor import classifier
from malscan.preprocess import Preprocessing
from malscan.settings import DEFAULT_BATCH_SIZE
from malscan.training.cells import Cells
from malscan.training.settings import ThresholdGoal

DEFAULT_THRESHOLD = 0.5

_TEMPERATURES = (0.5, 10.0)
"""Bounds of a temperature: for a few cells that are told apart without error the likelihood alone
would make every probability 0 or 1."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def predict_cells(
    network: keras.Model, cells: Cells, preprocessing: Preprocessing, temperature: float
) -> Floats:
    """Probability of parasitized of each cell, float64 [cells], as a scan would compute it."""
    classify = classifier(network, preprocessing, temperature)
    order = np.arange(len(cells))
    parts = [np.zeros(0)]
    for pixels in cells.store.batches(order, DEFAULT_BATCH_SIZE):
        batch = full_batch(tf.constant(pixels), DEFAULT_BATCH_SIZE)
        parts.append(classify(batch).numpy()[: len(pixels)])
    return np.concatenate(parts).astype(np.float64)


def fit_temperature(
    raw: Floats,
    positive: Bools,
    weights: npt.NDArray[np.float32],
    patients: Sequence[str] | None = None,
) -> float:
    """Temperature that makes the labels of held-out cells most likely, each patient counting alike.

    What is asked for is the doubt about a cell of a patient to come. One patient with many cells,
    whose labels may be worse than most, is one patient.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks.

    Args:
        raw: float [cells], uncalibrated probability of parasitized.
        positive: bool [cells].
        weights: float [2], weight of each class, as in training.
        patients: patient of each cell; None where they are not known, and each cell counts alike.
    """
    clipped = np.clip(raw, 1e-7, 1 - 1e-7)
    logit = np.log(clipped / (1 - clipped))
    sign = np.where(positive, 1.0, -1.0)
    weight = np.where(positive, weights[0], weights[1]).astype(np.float64)
    if patients is not None:
        owner = np.unique(np.asarray(patients), return_inverse=True)[1]
        weight /= np.bincount(owner)[owner]

    def loss(log_temperature: float) -> float:
        return float((weight * np.logaddexp(0, -sign * logit / np.exp(log_temperature))).mean())

    found = minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded")
    return round(float(np.exp(found.x)), 6)


def choose_threshold(
    probability: Floats, positive: Bools, goal: ThresholdGoal | None
) -> tuple[float, str]:
    """Threshold of a call, and how it was chosen.

    Of the thresholds 0.01, 0.02, ... 0.99 that reach the goal, the one that costs least of
    the other figure: the highest for a sensitivity, the lowest for a specificity.

    Args:
        probability: float [cells], calibrated, of the validation part.
        positive: bool [cells].
        goal: what to reach; None for the default threshold.

    Raises:
        MalscanError: no threshold reaches the goal.
    """
    if goal is None:
        return DEFAULT_THRESHOLD, "fixed, not chosen on data"
    grid = np.round(np.arange(0.01, 1.0, 0.01), 2)
    if goal.figure == "sensitivity":
        reached = [(probability[positive] >= t).mean() >= goal.least for t in grid]
        places = np.flatnonzero(reached)[-1:]
    else:
        reached = [(probability[~positive] < t).mean() >= goal.least for t in grid]
        places = np.flatnonzero(reached)[:1]
    if len(places) == 0:
        raise MalscanError(
            f"no threshold reaches {goal} on the validation part: ask for less. The training is "
            "kept: the same command with another goal goes on."
        )
    return float(grid[places[0]]), f"for {goal} on the validation part"
