"""How good predictions are, with intervals from a bootstrap that draws patients, not cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sklearn

from malscan.bootstrap import DRAWS, draw_weights, drawn_statistics, statistics
from malscan.parasitaemia import apparent

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


_LABELS = {
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "mcc": "MCC",
    "roc_auc": "ROC AUC",
    "brier_score": "Brier score",
}
_OF_BOTH_CLASSES = {
    *("balanced_accuracy", "ppv", "npv", "ppv_at_prevalence", "npv_at_prevalence"),
    *("f1", "mcc", "roc_auc", "average_precision"),
}
"""Figures that need cells of both classes."""


def label(name: str, prevalence: float | None = None) -> str:
    """What people call a figure.

    >>> label("ppv_at_prevalence", 0.02)
    'PPV at prevalence 2 %'
    """
    if name.endswith("_at_prevalence"):
        figure = label(name.removesuffix("_at_prevalence"))
        return f"{figure} at prevalence {100 * (prevalence or 0):g} %"
    return _LABELS.get(name, name.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval; None where nothing defines it."""

    value: float | None
    low: float | None
    high: float | None

    def in_words(self, form: str = ".4f") -> tuple[str, str]:
        """Value and interval as people read them.

        >>> Figure(0.95, 0.9, 0.975).in_words()
        ('0.9500', '0.9000 to 0.9750')
        >>> Figure(0.95, None, None).in_words()
        ('0.9500', '')
        """
        if self.value is None:
            return "not defined", ""
        span = "" if self.low is None else f"{self.low:{form}} to {self.high:{form}}"
        return f"{self.value:{form}}", span


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
    def accuracy(self) -> float:
        """Share of all cells that were called right."""
        return 1 - (self.missed + self.false_alarms) / (self.parasitized + self.uninfected)

    @property
    def sensitivity(self) -> float | None:
        """Share of the parasitized cells that were found; None without any."""
        return 1 - self.missed / self.parasitized if self.parasitized else None

    @property
    def false_positive_rate(self) -> float | None:
        """Share of the uninfected cells that were called parasitized; None without any."""
        return self.false_alarms / self.uninfected if self.uninfected else None


@dataclass(frozen=True, slots=True)
class Judged:
    """Labelled cells and what a model says of them.

    Attributes:
        positive: bool [cells], whether a cell is labelled parasitized.
        probability: float [cells], calibrated probability of parasitized.
        patients: patient of each cell; None where they are not known.
        threshold: probability from which a cell is called parasitized.
    """

    positive: Bools
    probability: Floats
    patients: Sequence[str] | None
    threshold: float

    @property
    def called(self) -> Bools:
        """Bool [cells], whether a cell is called parasitized."""
        return self.probability >= self.threshold


def figures(
    judged: Judged, *, prevalence: float | None = None, seed: int = 0, draws: int = DRAWS
) -> dict[str, Figure]:
    """Figures over cells, each with an interval over patients.

    Where patients are not known, proportions get Wilson intervals and the others a bootstrap
    that draws single cells; both are too narrow where cells share patients. Of a single patient
    there is no interval.

    Args:
        judged: cells and predictions.
        prevalence: share of parasitized cells, 0..1, to give predictive values at, besides
            that of the cells themselves.
        seed: of the draws.
        draws: number of draws.

    Returns:
        Figures by name, in the order in which they are shown.
    """
    values = _values(judged, prevalence)
    drawn = draw_figures(judged, prevalence=prevalence, seed=seed, draws=draws)
    intervals = {name: interval(sample) for name, sample in drawn.items()}
    if judged.patients is None:
        intervals |= _wilson(judged)
    # Drawing an only patient again and again would show no doubt at all.
    if judged.patients is not None and len(set(judged.patients)) == 1:
        intervals = dict.fromkeys(intervals, (None, None))
    elif few := _of_one_patient(judged):
        intervals |= dict.fromkeys((few | _OF_BOTH_CLASSES) & intervals.keys(), (None, None))
    return {
        name: Figure(value, *(intervals[name] if value is not None else (None, None)))
        for name, value in values.items()
    }


def draw_figures(
    judged: Judged, *, prevalence: float | None = None, seed: int = 0, draws: int = DRAWS
) -> dict[str, Floats]:
    """The figures in each bootstrap draw, float [draws]; the same seed draws the same patients.

    NaN where a draw has no cell that the figure is about.
    """
    units = judged.patients
    if units is None:
        units = [str(i) for i in range(len(judged.positive))]
    return drawn_statistics(
        units,
        judged.positive,
        judged.probability,
        judged.threshold,
        prevalence=prevalence,
        seed=seed,
        draws=draws,
    )


def patient_figures(
    results: Sequence[PatientResult], *, seed: int = 0, draws: int = DRAWS
) -> dict[str, Figure]:
    """Means over patients, each of whom counts alike however many cells they gave.

    Args:
        results: results of each patient.
        seed: of the draws.
        draws: number of draws.

    Returns:
        accuracy, sensitivity and specificity; sensitivity is over the patients who have
        parasitized cells, specificity over those who have uninfected ones.
    """
    columns: dict[str, list[float | None]] = {
        "accuracy": [result.accuracy for result in results],
        "sensitivity": [result.sensitivity for result in results],
        "specificity": [
            None if (rate := result.false_positive_rate) is None else 1 - rate for result in results
        ],
    }
    counts = draw_weights([result.patient for result in results], seed, draws)
    return {name: _mean_over_patients(values, counts) for name, values in columns.items()}


def per_patient(judged: Judged) -> list[PatientResult]:
    """Results of each patient, the largest share of wrong calls first; none if unknown."""
    if judged.patients is None:
        return []
    names, index = np.unique(np.asarray(judged.patients), return_inverse=True)
    positive, called = judged.positive, judged.called

    def count(chosen: Bools) -> list[int]:
        return [int(n) for n in np.bincount(index[chosen], minlength=len(names))]

    columns = (count(positive), count(~positive), count(positive & ~called))
    rows = zip(names, *columns, count(~positive & called), strict=True)
    results = [PatientResult(str(name), *numbers) for name, *numbers in rows]
    return sorted(results, key=lambda result: (result.accuracy, result.patient))


def interval(drawn: Floats) -> tuple[float | None, float | None]:
    """The middle 95 % of some draws; of those in which the figure is defined."""
    known = drawn[np.isfinite(drawn)]
    if len(known) == 0:
        return None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def doubt_is_known(judged: Judged) -> bool:
    """Whether sensitivity and specificity are those of two patients or more each."""
    return judged.patients is not None and not _of_one_patient(judged)


def _of_one_patient(judged: Judged) -> set[str]:
    """Which of sensitivity and specificity hang on a single patient, however many cells."""
    if judged.patients is None:
        return set()
    owners = np.asarray(judged.patients)
    classes = {"sensitivity": judged.positive, "specificity": ~judged.positive}
    return {name for name, chosen in classes.items() if len(np.unique(owners[chosen])) == 1}


def _mean_over_patients(values: Sequence[float | None], counts: Floats) -> Figure:
    known = np.array([value is not None for value in values])
    if not known.any():
        return Figure(None, None, None)
    numbers = np.array([0.0 if value is None else value for value in values])
    times = counts * known
    with np.errstate(invalid="ignore"):
        drawn = times @ numbers / times.sum(axis=1)
    span = interval(drawn) if known.sum() > 1 else (None, None)
    return Figure(float(numbers[known].mean()), *span)


def _values(judged: Judged, prevalence: float | None) -> dict[str, float | None]:
    """The figures themselves, by scikit-learn where it has them."""
    positive, called, probability = judged.positive, judged.called, judged.probability
    both = bool(positive.any() and (~positive).any())
    tn, fp, fn, tp = sklearn.confusion_matrix(positive, called, labels=[False, True]).ravel()
    sensitivity, specificity = _share(tp, tp + fn), _share(tn, tn + fp)
    values: dict[str, float | None] = {
        "accuracy": float(sklearn.accuracy_score(positive, called)),
        "balanced_accuracy": None,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": _share(tp, tp + fp),
        "npv": _share(tn, tn + fn),
    }
    if prevalence is not None:
        values |= dict.fromkeys(("ppv_at_prevalence", "npv_at_prevalence"))
        if sensitivity is not None and specificity is not None:
            values |= predictive_values(sensitivity, specificity, prevalence)
    values |= {"f1": None, "mcc": None, "roc_auc": None, "average_precision": None}
    if both:
        values |= {
            "balanced_accuracy": float(sklearn.balanced_accuracy_score(positive, called)),
            "f1": float(sklearn.f1_score(positive, called, zero_division=0)),
            "mcc": float(sklearn.matthews_corrcoef(positive, called)),
            "roc_auc": float(sklearn.roc_auc_score(positive, probability)),
            "average_precision": float(sklearn.average_precision_score(positive, probability)),
        }
    return values | {
        "brier_score": float(np.mean((probability - positive) ** 2)),
        "expected_calibration_error": float(
            statistics(np.ones([1, len(positive)]), positive, probability, judged.threshold)[
                "expected_calibration_error"
            ][0]
        ),
    }


def predictive_values(
    sensitivity: float, specificity: float, prevalence: float
) -> dict[str, float | None]:
    """Predictive values at a share of parasitized cells, by Bayes' rule."""
    infected, healthy = prevalence, 1 - prevalence
    true, false = sensitivity * infected, (1 - specificity) * healthy
    cleared, missed = specificity * healthy, (1 - sensitivity) * infected
    return {
        "ppv_at_prevalence": _share(true, true + false),
        "npv_at_prevalence": _share(cleared, cleared + missed),
    }


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _wilson(judged: Judged) -> dict[str, tuple[float, float]]:
    positive, called = judged.positive, judged.called
    right = positive == called
    of = {
        "accuracy": np.ones_like(right),
        "sensitivity": positive,
        "specificity": ~positive,
        "ppv": called,
        "npv": ~called,
    }
    found = {
        name: apparent(int(right[chosen].sum()), int(chosen.sum())) for name, chosen in of.items()
    }
    return {name: (share.low, share.high) for name, share in found.items() if share is not None}
