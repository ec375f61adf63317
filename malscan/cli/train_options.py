"""The options of `malscan train`, in the order of its help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from malscan.cli.data_options import file_option
from malscan.cli.machine_options import MACHINE
from malscan.training.recipe import (
    PRESETS,
    Augmentation,
    ClassWeights,
    Keep,
    NetworkName,
    Optimizer,
    Schedule,
    SplitKind,
)
from malscan.training.settings import Cache

_SPLIT = "Split"
_TRAINING = "Training (defaults: as the preset has them)"
_RECIPE = PRESETS["default"].recipe


class PresetName(StrEnum):
    """Presets by name."""

    DEFAULT = "default"
    ADAPT = "adapt"
    NOTEBOOK = "notebook"


Out = Annotated[Path, typer.Option(metavar="MODEL_DIR", help="Model folder to make.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing model.")]
Name = Annotated[
    str | None,
    typer.Option(help="What reports will call the model.", show_default="name of MODEL_DIR"),
]
SaveH5 = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the network as Keras .h5, too.")
]

Split = Annotated[
    SplitKind | None,
    typer.Option(
        help="What stays together; notebook: the first 20 % by name validate.",
        show_default="patient",
        rich_help_panel=_SPLIT,
    ),
]
SplitFile = Annotated[Path | None, file_option("Use a split.csv of an earlier training.", _SPLIT)]
TestPatients = Annotated[
    Path | None, file_option("Test patients, one a line; --folds leaves them out.", _SPLIT)
]
TestShare = Annotated[
    float,
    typer.Option(min=0.0, max=0.9, help="Share for test; 0 for no test.", rich_help_panel=_SPLIT),
]
ValidationShare = Annotated[
    float,
    typer.Option(min=0.001, max=0.9, help="Share for validation.", rich_help_panel=_SPLIT),
]
Folds = Annotated[
    int,
    typer.Option(
        min=0, help="Cross-validate by patient in this many folds.", rich_help_panel=_SPLIT
    ),
]

Preset = Annotated[
    PresetName | None,
    typer.Option(
        help="Way to train; adapt: for --from; notebook: as the origin.",
        show_default="default, with --from adapt",
        rich_help_panel=_TRAINING,
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help="Start from this model folder; embedded: from the embedded model.",
        rich_help_panel=_TRAINING,
    ),
]
Network = Annotated[
    NetworkName | None,
    typer.Option(help="Architecture.", show_default="compact", rich_help_panel=_TRAINING),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Passes over the cells.",
        show_default=str(_RECIPE.epochs),
        rich_help_panel=_TRAINING,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Cells to a step.",
        show_default=str(_RECIPE.batch_size),
        rich_help_panel=_TRAINING,
    ),
]
OptimizerOption = Annotated[
    Optimizer | None,
    typer.Option(
        "--optimizer", help="Rule of the steps.", show_default="adamw", rich_help_panel=_TRAINING
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        help="Highest learning rate.",
        show_default=str(_RECIPE.learning_rate),
        rich_help_panel=_TRAINING,
    ),
]
ScheduleOption = Annotated[
    Schedule | None,
    typer.Option(
        "--schedule",
        help="How the learning rate changes.",
        show_default="cosine",
        rich_help_panel=_TRAINING,
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(
        help="Weight decay of AdamW.",
        show_default=str(_RECIPE.weight_decay),
        rich_help_panel=_TRAINING,
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=0.5,
        help="Share of a label to spread.",
        show_default=str(_RECIPE.label_smoothing),
        rich_help_panel=_TRAINING,
    ),
]
Augment = Annotated[
    Augmentation | None,
    typer.Option(
        "--augment",
        help="Random changes of training cells.",
        show_default="cells",
        rich_help_panel=_TRAINING,
    ),
]
Mixup = Annotated[
    float | None,
    typer.Option(
        metavar="ALPHA",
        help="Mix neighbours by shares from Beta(ALPHA, ALPHA); 0: not.",
        show_default=str(_RECIPE.mixup),
        rich_help_panel=_TRAINING,
    ),
]
Average = Annotated[
    float | None,
    typer.Option(
        metavar="DECAY",
        help="Keep a moving average of the weights; 0: not.",
        show_default=str(_RECIPE.average),
        rich_help_panel=_TRAINING,
    ),
]
Teacher = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="MODEL",
        help="Learn what this model says of the cells, too; again for more.",
        rich_help_panel=_TRAINING,
    ),
]
TeacherShare = Annotated[
    float | None,
    typer.Option(
        help="Share of a target that teachers say.",
        show_default=str(_RECIPE.teacher_share),
        rich_help_panel=_TRAINING,
    ),
]
ClassWeightsOption = Annotated[
    ClassWeights | None,
    typer.Option(
        "--class-weights",
        help="Whether a rare class counts for more.",
        show_default="balanced",
        rich_help_panel=_TRAINING,
    ),
]
KeepOption = Annotated[
    Keep | None,
    typer.Option(
        "--keep",
        help="Epoch to keep, by validation loss.",
        show_default="best",
        rich_help_panel=_TRAINING,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Stop after this many epochs without gain.",
        show_default="never",
        rich_help_panel=_TRAINING,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Seed of split, weights, order.",
        show_default=str(_RECIPE.seed),
        rich_help_panel=_TRAINING,
    ),
]
ThresholdFor = Annotated[
    str | None,
    typer.Option(
        metavar="GOAL",
        help="Pick the threshold on validation, as sensitivity=0.97.",
        show_default="threshold 0.5",
        rich_help_panel=_TRAINING,
    ),
]

Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic", help="The same bits in every run here.", rich_help_panel=MACHINE
    ),
]
CacheOption = Annotated[
    Cache,
    typer.Option("--cache", help="Where decoded cells wait.", rich_help_panel=MACHINE),
]
Tensorboard = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write events for TensorBoard.", rich_help_panel=MACHINE),
]
