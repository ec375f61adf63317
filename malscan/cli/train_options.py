"""The options of `malscan train`, in the order of its help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from malscan.cli.data_options import file_option
from malscan.cli.machine_options import MACHINE
from malscan.cli.model_options import embedded_name
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
_TRAINING = "Training (defaults of the preset default; adapt and notebook have others)"
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
    typer.Option(
        metavar="NAME",
        help="What reports will call the model.",
        show_default="name of MODEL_DIR",
        hidden=True,
    ),
]
SaveH5 = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the network as Keras .h5, too.", hidden=True),
]

Split = Annotated[
    SplitKind | None,
    typer.Option(
        metavar="BY",
        help="What stays together: patient, cell or notebook.",
        show_default="patient",
        rich_help_panel=_SPLIT,
    ),
]
SplitFile = Annotated[
    Path | None, file_option("Use a split.csv of an earlier training.", _SPLIT, hidden=True)
]
TestPatients = Annotated[
    Path | None, file_option("Test patients, one a line; --folds: left out.", _SPLIT, hidden=True)
]
TestShare = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Share for test, 0..0.9; 0: no test.",
        rich_help_panel=_SPLIT,
        hidden=True,
    ),
]
ValidationShare = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Share for validation, 0.001..0.9.",
        rich_help_panel=_SPLIT,
        hidden=True,
    ),
]
Folds = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Cross-validate by patient; 0: one model.",
        rich_help_panel=_SPLIT,
    ),
]

Preset = Annotated[
    PresetName | None,
    typer.Option(
        metavar="NAME",
        help="Way to train: default, adapt (with --from) or notebook.",
        show_default="default; with --from: adapt",
        rich_help_panel=_TRAINING,
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help="Start from a model folder, or 'embedded'.",
        autocompletion=embedded_name,
        rich_help_panel=_TRAINING,
    ),
]
Network = Annotated[
    NetworkName | None,
    typer.Option(
        metavar="NAME",
        help=f"Untrained network: {' or '.join(NetworkName)}.",
        show_default="compact",
        rich_help_panel=_TRAINING,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Passes over the cells.",
        show_default=str(_RECIPE.epochs),
        rich_help_panel=_TRAINING,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Cells to a step.",
        show_default=str(_RECIPE.batch_size),
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
OptimizerOption = Annotated[
    Optimizer | None,
    typer.Option(
        "--optimizer",
        help="Rule of the steps.",
        show_default="adamw",
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="Highest learning rate.",
        show_default=str(_RECIPE.learning_rate),
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
ScheduleOption = Annotated[
    Schedule | None,
    typer.Option(
        "--schedule",
        help="How the learning rate changes.",
        show_default="cosine",
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Weight decay of AdamW.",
        show_default=str(_RECIPE.weight_decay),
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of a label that is spread over both classes, 0..0.5.",
        show_default=str(_RECIPE.label_smoothing),
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
Augment = Annotated[
    Augmentation | None,
    typer.Option(
        "--augment",
        help="Random changes of training cells.",
        show_default="cells",
        hidden=True,
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
        hidden=True,
    ),
]
Average = Annotated[
    float | None,
    typer.Option(
        metavar="DECAY",
        help="Keep a moving average of the weights; 0: not.",
        show_default=str(_RECIPE.average),
        rich_help_panel=_TRAINING,
        hidden=True,
    ),
]
Teacher = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="MODEL",
        help="Learn what this model says of the cells, too; again for more.",
        rich_help_panel=_TRAINING,
        hidden=True,
    ),
]
TeacherShare = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of a target that teachers say.",
        show_default=str(_RECIPE.teacher_share),
        rich_help_panel=_TRAINING,
        hidden=True,
    ),
]
ClassWeightsOption = Annotated[
    ClassWeights | None,
    typer.Option(
        "--class-weights",
        help="Whether a rare class counts for more.",
        show_default="balanced",
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
KeepOption = Annotated[
    Keep | None,
    typer.Option(
        "--keep",
        help="Keep the epoch of least validation loss, or the last.",
        show_default="last; best with --patience or preset adapt",
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Stop after this many epochs without gain.",
        show_default="never",
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Seed of split, weights, order.",
        show_default=str(_RECIPE.seed),
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]
ThresholdFor = Annotated[
    str | None,
    typer.Option(
        metavar="GOAL",
        help="Pick the threshold on validation, as sensitivity=0.97.",
        show_default="threshold 0.5",
        hidden=True,
        rich_help_panel=_TRAINING,
    ),
]

Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="The same bits in every run here.",
        hidden=True,
        rich_help_panel=MACHINE,
    ),
]
CacheOption = Annotated[
    Cache,
    typer.Option("--cache", help="Where decoded cells wait.", hidden=True, rich_help_panel=MACHINE),
]
Tensorboard = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Write events for TensorBoard.", hidden=True, rich_help_panel=MACHINE
    ),
]
