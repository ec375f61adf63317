"""What `malscan evaluate` is asked to do, checked; light, so that a usage error is told at once."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from malscan.errors import UsageError
from malscan.settings import (
    ANY_MODEL,
    DEFAULT_BATCH_SIZE,
    LARGEST_BATCH,
    Computing,
    DataSettings,
    KerasFileSettings,
    check_model_exists,
    check_range,
)


class GateOn(StrEnum):
    """What a gate looks at: the figure itself, or the lower end of its interval."""

    POINT = "point"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Gates:
    """The least figures that pass; None for no gate.

    Attributes:
        accuracy: least accuracy, 0..1.
        sensitivity: least sensitivity, 0..1.
        specificity: least specificity, 0..1.
        roc_auc: least area under the ROC curve, 0..1.
        on: what is compared.

    Raises:
        UsageError: a limit is not between 0 and 1.
    """

    accuracy: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    roc_auc: float | None = None
    on: GateOn = GateOn.POINT

    def __post_init__(self) -> None:
        for name, limit in self.limits().items():
            check_range(f"--min-{'auc' if name == 'roc_auc' else name}", limit, 0, 1)

    def limits(self) -> dict[str, float]:
        """The limits that are set, by figure."""
        named = {
            "accuracy": self.accuracy,
            "sensitivity": self.sensitivity,
            "specificity": self.specificity,
            "roc_auc": self.roc_auc,
        }
        return {name: limit for name, limit in named.items() if limit is not None}


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """What to evaluate, on what, and where to.

    Attributes:
        data: the labelled cells.
        model: model; None for `MALSCAN_MODEL` or the embedded model.
        compare: a second model for the same cells; None for none.
        keras_file: what a Keras file does not say; for no other model.
        out: folder for files and pictures; None for none. A folder of an earlier evaluation is
            replaced.
        threshold: probability from which a cell is called parasitized; None for the model's.
        prevalence: share of parasitized cells to give predictive values at, besides that of
            the cells; None for none.
        gates: the least figures that pass.
        allow_seen: keep patients that the model has seen.
        allow_failed: go on however many images cannot be read.
        batch_size: images that are loaded and classified together.
        computing: what to compute on.
        command: the command line, kept in the report.

    Raises:
        UsageError: a model does not exist, or a number is out of its range.
    """

    data: DataSettings
    model: Path | None = None
    compare: Path | None = None
    keras_file: KerasFileSettings = field(default_factory=KerasFileSettings)
    out: Path | None = None
    threshold: float | None = None
    prevalence: float | None = None
    gates: Gates = field(default_factory=Gates)
    allow_seen: bool = False
    allow_failed: bool = False
    batch_size: int = DEFAULT_BATCH_SIZE
    computing: Computing = field(default_factory=Computing)
    command: str = ""

    def __post_init__(self) -> None:
        for model in (self.model, self.compare):
            if model is not None:
                check_model_exists(model, ANY_MODEL)
        for option, share in (("--threshold", self.threshold), ("--prevalence", self.prevalence)):
            if share is not None:
                check_range(option, share, 0, 1)
        check_range("--batch-size", self.batch_size, 1, LARGEST_BATCH)
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise UsageError(f"--out {self.out} is a file. Name a folder.")
