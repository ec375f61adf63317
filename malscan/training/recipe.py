"""How to train: recipes and presets; light, so that a usage error is told at once."""

from dataclasses import dataclass
from enum import StrEnum

from malscan.settings import LARGEST_BATCH, check_range


class NetworkName(StrEnum):
    """Networks by name; `malscan.networks.NETWORKS` has one for each."""

    COMPACT = "compact"
    SWIFT = "swift"
    BASELINE = "baseline"


class SplitKind(StrEnum):
    """What is kept together when cells are dealt out to parts."""

    PATIENT = "patient"
    CELL = "cell"
    NOTEBOOK = "notebook"


class Optimizer(StrEnum):
    """Rules that turn gradients into steps."""

    ADAMW = "adamw"
    RMSPROP = "rmsprop"


class Schedule(StrEnum):
    """How the learning rate changes: up for one epoch and down along a cosine, or not at all."""

    COSINE = "cosine"
    CONSTANT = "constant"


class Augmentation(StrEnum):
    """How training cells are changed at random."""

    CELLS = "cells"
    NONE = "none"


class ClassWeights(StrEnum):
    """Whether a rare class counts for more: so that both count alike, or not."""

    BALANCED = "balanced"
    NONE = "none"


class Keep(StrEnum):
    """Which epoch's weights become the model."""

    BEST = "best"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the training cells, at most.
        batch_size: cells to a step.
        optimizer: rule of the steps.
        learning_rate: highest rate.
        schedule: how the rate changes.
        weight_decay: of AdamW.
        label_smoothing: share of each label that is spread over both classes, against the
            share of labels that are wrong.
        augmentation: how training cells are changed.
        mixup: both parameters of the beta distribution from which the share of a neighbour that
            is mixed into each cell, and into its label, is drawn; 0 for no mixing.
        average: decay of the moving average of the weights that is validated and kept instead of
            the weights themselves; 0 for the weights themselves.
        teacher_share: share of each target that teachers say, where there are any; the label says
            the rest.
        class_weights: whether a rare class counts for more.
        keep: the epoch of least validation loss, or the last.
        patience: epochs without a lower validation loss after which training ends; 0 for never.
            With it, the best epoch is the one to keep.
        seed: of split, weights, order and augmentation.

    Raises:
        UsageError: a number is out of its range.
    """

    epochs: int = 96
    batch_size: int = 64
    optimizer: Optimizer = Optimizer.ADAMW
    learning_rate: float = 3e-3
    schedule: Schedule = Schedule.COSINE
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    augmentation: Augmentation = Augmentation.CELLS
    mixup: float = 0.0
    average: float = 0.0
    teacher_share: float = 0.5
    class_weights: ClassWeights = ClassWeights.BALANCED
    keep: Keep = Keep.LAST
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("--epochs", self.epochs, 1, 100_000)
        check_range("--batch-size", self.batch_size, 1, LARGEST_BATCH)
        check_range("--learning-rate", self.learning_rate, 0, float("inf"))
        check_range("--weight-decay", self.weight_decay, 0, 1)
        check_range("--label-smoothing", self.label_smoothing, 0, 0.5)
        check_range("--mixup", self.mixup, 0, 10)
        check_range("--average", self.average, 0, 0.99999)
        check_range("--teacher-share", self.teacher_share, 0, 1)
        check_range("--patience", self.patience, 0, 100_000)
        check_range("--seed", self.seed, 0, 2**32 - 1)

    def steps(self, cells: int) -> int:
        """Steps of one epoch over some cells; the last step may be a short one."""
        return -(-cells // self.batch_size)


@dataclass(frozen=True, slots=True)
class Preset:
    """A way to train that has a name.

    Attributes:
        network: the architecture; with `--from` that of the model to start from.
        split: what is kept together.
        recipe: how to train.
    """

    network: NetworkName
    split: SplitKind
    recipe: Recipe


PRESETS = {
    "default": Preset(NetworkName.COMPACT, SplitKind.PATIENT, Recipe()),
    "adapt": Preset(
        NetworkName.COMPACT,
        SplitKind.PATIENT,
        Recipe(epochs=20, batch_size=32, learning_rate=3e-4, keep=Keep.BEST),
    ),
    "notebook": Preset(
        NetworkName.BASELINE,
        SplitKind.NOTEBOOK,
        Recipe(
            epochs=10,
            batch_size=32,
            optimizer=Optimizer.RMSPROP,
            learning_rate=1e-3,
            schedule=Schedule.CONSTANT,
            weight_decay=0.0,
            label_smoothing=0.0,
            augmentation=Augmentation.NONE,
            class_weights=ClassWeights.NONE,
            keep=Keep.LAST,
        ),
    ),
}
"""Ways to train: from nothing, from an existing model, and as the notebook did."""
