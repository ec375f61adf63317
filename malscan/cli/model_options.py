"""Options on models that scan and evaluate share."""

from typing import Annotated

import typer

from malscan.kernel import Kernel
from malscan.settings import EMBEDDED_NAME, ClassOrder

_MODEL = "Model"
_KERAS_FILE = "What a Keras file does not say"


def embedded_name() -> list[str]:
    """What a model may be called, besides a path."""
    return [EMBEDDED_NAME]


Rescale = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Factor from pixels to input.",
        show_default="1/255",
        rich_help_panel=_KERAS_FILE,
        hidden=True,
    ),
]
ResizeKernel = Annotated[
    Kernel | None,
    typer.Option(
        metavar="KERNEL",
        help="How images are resized: bilinear, area or pillow-nearest.",
        show_default="pillow-nearest",
        rich_help_panel=_KERAS_FILE,
        hidden=True,
    ),
]
ClassOrderOption = Annotated[
    ClassOrder | None,
    typer.Option(
        "--class-order",
        metavar="FIRST,SECOND",
        help="Classes in output order; one output: the second.",
        show_default="parasitized,uninfected",
        rich_help_panel=_KERAS_FILE,
        hidden=True,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Parasitized from this probability on, 0..1.",
        show_default="the model's",
        rich_help_panel=_MODEL,
    ),
]
BatchSize = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Images loaded and classified together.",
        rich_help_panel=_MODEL,
        hidden=True,
    ),
]
