"""What the cells of a training usually look like, for the measure `unlike` of a scan."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.covariance import LedoitWolf

from malscan.appearance import appearance
from malscan.pipeline import full_batch
from malscan.settings import DEFAULT_BATCH_SIZE
from malscan.training.cells import Cells
from malscan.unlike import STATISTICS, UsualCells

MOST_CELLS = 20_000
"""Cells that are looked at: more of them would not change the figures, but take time."""

_FOLDS = 5
_LEVELS = 1001
_LEAST_DEVIATION = 0.01
_RIDGE = 1e-3
"""Both keep a statistic that never varies in the training from deciding alone."""

Floats = npt.NDArray[np.float64]
Fit = tuple[Floats, Floats]


def usual_cells(parts: Sequence[Cells]) -> UsualCells:
    """Learn what the cells of some parts look like, and how much that differs between patients.

    The distance is Mahalanobis', with a shrunken covariance (Ledoit & Wolf 2004). What distances
    are usual is taken from patients held out in turn, so that it holds for new patients, too;
    each patient counts alike.

    Args:
        parts: cells that a model learns from, not augmented; not all of them empty.
    """
    found = np.concatenate([_statistics(cells) for cells in parts if len(cells)])
    patient = _patients(parts)
    owner = np.arange(len(found)) if patient is None else patient
    distance = _held_out_distances(found, owner)
    weight = 1 / np.bincount(owner)[owner]
    centre, whitening = _fit(found)
    usual = UsualCells(
        centre=centre.astype(np.float32),
        whitening=whitening.astype(np.float32),
        distances=_quantiles(distance, weight).astype(np.float32),
        between=float("inf"),
        within=0.0,
        patients=0,
    )
    return usual if patient is None else _with_patients(usual, distance, patient)


def _with_patients(usual: UsualCells, distance: Floats, owner: npt.NDArray[np.int64]) -> UsualCells:
    """The same, with what is known of the spread between and within patients."""
    measure = usual.unlike(distance.astype(np.float32))
    own = [measure[owner == patient] for patient in range(owner.max() + 1)]
    return UsualCells(
        usual.centre,
        usual.whitening,
        usual.distances,
        between=float(np.std([cells.mean() for cells in own], ddof=1)),
        within=float(np.sqrt(np.mean([cells.var() for cells in own]))),
        patients=len(own),
    )


def _statistics(cells: Cells) -> Floats:
    """Statistics float64 [cells, statistics] of the cells that are looked at."""
    compiled = tf.function(appearance, jit_compile=False, autograph=False)
    rows = []
    for pixels in cells.store.batches(_looked_at(cells), DEFAULT_BATCH_SIZE):
        batch = full_batch(tf.constant(pixels), DEFAULT_BATCH_SIZE)
        rows.append(compiled(batch).numpy()[: len(pixels)])
    return np.concatenate(rows).astype(np.float64)


def _patients(parts: Sequence[Cells]) -> npt.NDArray[np.int64] | None:
    """Number of the patient of each cell looked at; None if one is unknown, or all are one."""
    names: list[str] = []
    for cells in parts:
        patients = cells.known_patients
        if patients is None:
            return None
        names += [patients[place] for place in _looked_at(cells)]
    different, numbers = np.unique(names, return_inverse=True)
    return numbers if len(different) > 1 else None


def _looked_at(cells: Cells) -> npt.NDArray[np.int64]:
    """Places of the cells that are looked at, spread over the part."""
    return np.linspace(0, len(cells) - 1, min(MOST_CELLS, len(cells)), dtype=np.int64)


def _held_out_distances(found: Floats, owner: npt.NDArray[np.int64]) -> Floats:
    """Distance of each cell from the cells of others, float64 [cells]."""
    distance = np.empty(len(found))
    folds = min(_FOLDS, owner.max() + 1)
    for fold in range(folds):
        inside = owner % folds == fold
        centre, whitening = _fit(found[~inside])
        distance[inside] = np.linalg.norm((found[inside] - centre) @ whitening, axis=1)
    return distance


def _fit(found: Floats) -> Fit:
    """Centre and whitening matrix of some cells."""
    centre = found.mean(axis=0)
    deviation = np.maximum(found.std(axis=0), _LEAST_DEVIATION)
    covariance = LedoitWolf(assume_centered=True).fit((found - centre) / deviation).covariance_
    lower = np.linalg.cholesky(covariance + _RIDGE * np.eye(len(STATISTICS)))
    return centre, np.linalg.inv(lower).T / deviation[:, None]


def _quantiles(values: Floats, weight: Floats) -> Floats:
    """Values that evenly spaced shares of the weight do not exceed, float64 [levels]."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    shares = np.concatenate([[0.0], reached / reached[-1]])
    ascending = np.concatenate([values[order[:1]], values[order]])
    return np.interp(np.linspace(0, 1, _LEVELS), shares, ascending)
