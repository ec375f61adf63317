"""What the commands are asked to do, checked; light, so that a usage error is told at once."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from malscan.errors import UsageError
from malscan.report.names import check_names
from malscan.walk import check_paths

DEFAULT_BATCH_SIZE = 256
LARGEST_BATCH = 8192
DEFAULT_VALIDATION_SHARE = 0.1
DEFAULT_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """What to scan, how, and where to.

    Attributes:
        paths: folders and files.
        outs: names of reports; the suffix picks the format, `-` is CSV to stdout.
        listed: further paths, one by one (`--files-from`).
        model: model folder; None for `MALSCAN_MODEL` or the embedded model.
        threshold: probability from which a cell is called parasitized; None for the model's.
        batch_size: images to a forward pass.
        any_size: accept images with a side over 512 pixels.
        keep_going: images that cannot be read do not change the exit code.
        fail_on_failed: stop at the first image that cannot be read.
        allow_empty: finding no image gives an empty report instead of an error.

    Raises:
        UsageError: a path or the model does not exist, a report has an unknown suffix, or a
            number is out of its range.
    """

    paths: tuple[str, ...]
    outs: tuple[str, ...]
    listed: Iterable[str] = ()
    model: Path | None = None
    threshold: float | None = None
    batch_size: int = DEFAULT_BATCH_SIZE
    any_size: bool = False
    keep_going: bool = False
    fail_on_failed: bool = False
    allow_empty: bool = False

    def __post_init__(self) -> None:
        check_names(self.outs)
        check_paths(self.paths)
        if self.model is not None:
            check_model_exists(self.model)
        if self.threshold is not None:
            _check_range("--threshold", self.threshold, 0, 1)
        _check_range("--batch-size", self.batch_size, 1, LARGEST_BATCH)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the training cells.
        batch_size: cells to a step.
        learning_rate: highest rate; it rises for one epoch and falls along a cosine to zero.
        weight_decay: of AdamW.
        label_smoothing: share of each label that is spread over both classes, against the
            share of labels that are wrong.
        seed: of split, weights, order and augmentation.

    Raises:
        UsageError: a number is out of its range.
    """

    epochs: int = 24
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        _check_range("--epochs", self.epochs, 1, 100_000)
        _check_range("--batch-size", self.batch_size, 1, LARGEST_BATCH)
        _check_range("--learning-rate", self.learning_rate, 0, float("inf"))
        _check_range("--weight-decay", self.weight_decay, 0, 1)
        _check_range("--label-smoothing", self.label_smoothing, 0, 0.5)
        _check_range("--seed", self.seed, 0, 2**32 - 1)

    def steps(self, cells: int) -> int:
        """Steps of one epoch over some cells; the last step may be a short one."""
        return -(-cells // self.batch_size)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What to train, on what, and where to.

    Attributes:
        data: folder with two class folders.
        out: model folder to make.
        network: key of `malscan.networks.NETWORKS`.
        recipe: how to train.
        name: what reports will call the model; None for the name of `out`.
        validation_share: share of patients for validation, 0..1.
        test_share: share of patients for test, 0..1; not used with `test_patients`.
        test_patients: file that names the test patients, one a line.
        force: replace an existing model.
        command: the command line, kept in the model for whoever wants to repeat it.

    Raises:
        UsageError: a share is out of its range, or the test patients' file does not exist.
    """

    data: Path
    out: Path
    network: str = "compact"
    recipe: Recipe = field(default_factory=Recipe)
    name: str | None = None
    validation_share: float = DEFAULT_VALIDATION_SHARE
    test_share: float = DEFAULT_TEST_SHARE
    test_patients: Path | None = None
    force: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        check_paths([str(self.data)])
        _check_range("--validation-share", self.validation_share, 0, 0.9)
        _check_range("--test-share", self.test_share, 0, 0.9)
        if self.test_patients is not None:
            check_paths([str(self.test_patients)])


def check_model_exists(model: Path) -> None:
    """Make sure that there is something where a model is said to be.

    Raises:
        UsageError: there is nothing.
    """
    if not os.path.exists(model):
        raise UsageError(f"no such model: {model}. Give a folder made by `malscan train`.")


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UsageError(f"{name} {value:g} is not between {least:g} and {most:g}")
