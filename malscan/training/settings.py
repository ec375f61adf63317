"""What `malscan train` is asked to do, checked; light, so that a usage error is told at once."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from malscan.cluster.settings import ClusterSettings
from malscan.errors import UsageError
from malscan.settings import Computing, DataSettings, check_model_exists, check_range
from malscan.training.recipe import NetworkName, Recipe, SplitKind
from malscan.walk import check_paths

MOST_FOLDS = 100


class Cache(StrEnum):
    """Where decoded cells wait for their next epoch; `none` decodes them anew each time."""

    AUTO = "auto"
    MEMORY = "memory"
    DISK = "disk"
    NONE = "none"


_SHARES = (0.1, 0.2)
"""Of validation and test, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How to deal out the cells to train, validation and test part.

    Attributes:
        kind: what is kept together.
        file: a `split.csv` that says which cell is in which part; shares are not given then.
        test_patients: file that names the test patients, one a line; with `folds` they are
            left out of every fold.
        validation_share: share of patients (or cells) for validation, 0..1.
        test_share: share of patients (or cells) for test, 0..1; 0 for no test part.
        folds: number of parts of a cross-validation; 0 for none.

    Raises:
        UsageError: a number is out of its range, a file does not exist, or two settings
            contradict each other.
    """

    kind: SplitKind = SplitKind.PATIENT
    file: Path | None = None
    test_patients: Path | None = None
    validation_share: float = _SHARES[0]
    test_share: float = _SHARES[1]
    folds: int = 0

    def __post_init__(self) -> None:
        check_range("--validation-share", self.validation_share, 0.001, 0.9)
        check_range("--test-share", self.test_share, 0, 0.9)
        check_range("--folds", self.folds, 0, MOST_FOLDS)
        check_paths([str(path) for path in (self.file, self.test_patients) if path is not None])
        if self.folds == 1:
            raise UsageError("--folds 1 leaves nothing to train on. Give 2 or more.")
        if self.kind is not SplitKind.PATIENT and (self.folds or self.test_patients):
            option = "--folds" if self.folds else "--test-patients"
            raise UsageError(f"{option} goes with --split patient, not --split {self.kind}.")
        if self.file is not None and (self.folds or self.test_patients):
            option = "--folds" if self.folds else "--test-patients"
            raise UsageError(f"{option} and --split-file exclude each other.")
        if self.file is not None and (self.validation_share, self.test_share) != _SHARES:
            raise UsageError(
                "--split-file says which cells are for test and validation: leave --test-share and "
                "--validation-share out."
            )


@dataclass(frozen=True, slots=True)
class ThresholdGoal:
    """What the threshold is to reach on the validation part.

    Attributes:
        figure: `sensitivity` or `specificity`.
        least: the least value of it, 0..1.
    """

    figure: str
    least: float

    def __str__(self) -> str:
        return f"{self.figure}={self.least:g}"

    @classmethod
    def parse(cls, text: str) -> "ThresholdGoal":
        """Read `sensitivity=0.97`.

        Raises:
            UsageError: the text is not like that.
        """
        found = re.fullmatch(r"(sensitivity|specificity)=(0?\.\d+|1(?:\.0*)?|0)", text.strip())
        if found is None:
            raise UsageError(
                f"--threshold-for {text!r} is not understood. "
                "Give sensitivity=0.97 or specificity=0.97, with a number from 0 to 1."
            )
        return cls(found[1], float(found[2]))


@dataclass(frozen=True, slots=True)
class Machine(Computing):
    """What to train on and with; changes results within rounding only.

    Attributes:
        deterministic: the same bits in every run on this machine, at some cost in speed.
        cache: where decoded cells wait.
    """

    deterministic: bool = False
    cache: Cache = Cache.AUTO


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What to train, on what, and where to.

    Attributes:
        data: the labelled cells.
        out: model folder to make; with folds, a folder of model folders.
        network: the architecture; with `start_from` it has to be that of the model.
        start_from: model folder, or `embedded`, whose weights to start from; None to start from
            nothing.
        teachers: model folders, or `embedded`, whose opinion of the training cells is learnt.
        split: how to deal out the cells.
        recipe: how to train.
        machine: what to compute on.
        threshold_for: what the threshold is to reach on validation; None for 0.5.
        name: what reports will call the model; None for the name of `out`.
        save_h5: Keras `.h5` file to write besides; None for none.
        tensorboard: folder for TensorBoard's event files; None for none.
        allow_failed: go on however many images cannot be read.
        force: replace an existing model.
        command: the command line, kept in the model for whoever wants to repeat it.
        cluster: where to train the folds side by side; None for here, one after the other.

    Raises:
        UsageError: the model to start from, or a teacher, does not exist, or settings contradict
            each other.
    """

    data: DataSettings
    out: Path
    network: NetworkName = NetworkName.COMPACT
    start_from: Path | None = None
    teachers: tuple[Path, ...] = ()
    split: SplitSettings = field(default_factory=SplitSettings)
    recipe: Recipe = field(default_factory=Recipe)
    machine: Machine = field(default_factory=Machine)
    threshold_for: ThresholdGoal | None = None
    name: str | None = None
    save_h5: Path | None = None
    tensorboard: Path | None = None
    allow_failed: bool = False
    force: bool = False
    command: str = ""
    cluster: ClusterSettings | None = None

    def __post_init__(self) -> None:
        if self.start_from is not None:
            check_model_exists(self.start_from)
        for teacher in self.teachers:
            check_model_exists(teacher)
        if self.save_h5 is not None and self.save_h5.suffix.lower() not in (".h5", ".hdf5"):
            raise UsageError(f"--save-h5 {self.save_h5}: give a name that ends in .h5.")
        for option, path in (("--save-h5", self.save_h5), ("--tensorboard", self.tensorboard)):
            if path is not None and path.absolute().is_relative_to(self.out.absolute()):
                raise UsageError(f"{option} {path} lies in the model folder: name another.")
        if self.tensorboard is not None and find_spec("tensorboard") is None:
            raise UsageError("--tensorboard needs TensorBoard: install malscan[tensorboard].")
        if self.split.folds and self.save_h5 is not None:
            raise UsageError("--save-h5 writes one model: it does not go with --folds.")
        if self.cluster is not None and not self.split.folds:
            raise UsageError("--cluster trains folds side by side: it needs --folds, as --folds 5.")
