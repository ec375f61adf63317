"""Options on models that scan and evaluate share."""

from typing import Annotated

import typer

from malscan.kernel import Kernel
from malscan.settings import ClassOrder

_MODEL = "Model"

Rescale = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Keras file: factor from pixels to input.",
        show_default="1/255",
        rich_help_panel=_MODEL,
    ),
]
ResizeKernel = Annotated[
    Kernel | None,
    typer.Option(
        help="Keras file: how images are resized.",
        show_default="pillow-nearest",
        rich_help_panel=_MODEL,
    ),
]
ClassOrderOption = Annotated[
    ClassOrder | None,
    typer.Option(
        "--class-order",
        metavar="FIRST,SECOND",
        help="Keras file: classes in output order; one output: the second.",
        show_default="parasitized,uninfected",
        rich_help_panel=_MODEL,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Call a cell parasitized from this probability on, 0..1.",
        show_default="the model's",
        rich_help_panel=_MODEL,
    ),
]
BatchSize = Annotated[
    int,
    typer.Option(metavar="N", help="Images to a forward pass.", rich_help_panel=_MODEL),
]
