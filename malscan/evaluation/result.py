"""What an evaluation found, before anybody writes or draws it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from malscan.errors import ExitCode
from malscan.metrics import Figure, Judged, PatientResult
from malscan.model import Model
from malscan.prediction import Prediction
from malscan.settings import Precision


class Independence(StrEnum):
    """Whether the model may have learnt from the very cells that it is judged by."""

    CHECKED = "checked"
    UNKNOWN = "unknown"
    SEEN = "not independent"


INDEPENDENCE_TEXTS = {
    Independence.CHECKED: "No patient of whom the model has seen an image is among these cells.",
    Independence.UNKNOWN: (
        "The model does not say what it was trained on: whether it has seen these cells is "
        "unknown, and the figures may be too good."
    ),
    Independence.SEEN: (
        "NOT INDEPENDENT: the model was trained or validated on some of these patients "
        "(--allow-seen); every figure is too good."
    ),
}


@dataclass(frozen=True, slots=True)
class GateResult:
    """What became of one gate.

    Attributes:
        figure: name of the figure.
        limit: the least that passes.
        value: what was compared with it; None if it is not defined.
    """

    figure: str
    limit: float
    value: float | None

    @property
    def met(self) -> bool:
        """Whether the gate was passed; a figure that is not defined does not pass."""
        return self.value is not None and self.value >= self.limit


@dataclass(frozen=True, slots=True)
class Comparison:
    """A second model on the same cells.

    Attributes:
        model: the second model.
        judged: the same cells and what it says of them, at its own threshold.
        figures: its figures.
        differences: figures of the first model minus those of the second, with intervals from
            the same draws of patients.
        disagreements: places of the cells that the two call differently.
    """

    model: Model
    judged: Judged
    figures: dict[str, Figure]
    differences: dict[str, Figure]
    disagreements: list[int]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the images.

    Attributes:
        images: all that were found.
        evaluated: those that the figures are of.
        failed: those that could not be read.
        seen: those set aside because the model has seen an image of the same patient.
        contradictory: groups of images with the same pixels in both classes.
        repeated: images that repeat the pixels of another of the same class.
    """

    images: int
    evaluated: int
    failed: int
    seen: int
    contradictory: list[list[str]]
    repeated: int


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """A finished evaluation.

    Attributes:
        model: the model.
        precision: numbers that the models were computed in.
        judged: the evaluated cells and what it says of them.
        predictions: of the evaluated cells, in the same order.
        set_aside: predictions of cells of seen patients.
        failed: images that could not be read.
        counts: what became of the images.
        seen_patients: patients set aside; with `allow_seen` those kept though seen.
        independence: whether the cells are new to the model.
        figures: over cells, with intervals.
        patient_figures: means over patients; empty where they are not known.
        patients: results of each patient, worst first; empty where they are not known.
        comparison: a second model, if one was given.
        gates: what became of the gates.
        out: folder of files and pictures, if one was asked for.
        exit_code: `OK`, `SOME_UNREADABLE` or `GATE_MISSED`.
    """

    model: Model
    precision: Precision
    judged: Judged
    predictions: list[Prediction]
    set_aside: list[Prediction]
    failed: list[Prediction]
    counts: Counts
    seen_patients: list[str]
    independence: Independence
    figures: dict[str, Figure]
    patient_figures: dict[str, Figure]
    patients: list[PatientResult]
    comparison: Comparison | None
    gates: list[GateResult]
    out: Path | None
    exit_code: ExitCode
