"""Options on what to compute on, which scan, evaluate and train share."""

from typing import Annotated

import typer

from malscan.settings import Precision

MACHINE = "Machine"

PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        metavar="KIND",
        help="Numbers to compute in: auto, float32, bfloat16 (where the hardware has it) or "
        "float16 (GPU).",
        rich_help_panel=MACHINE,
        hidden=True,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE", help="auto, cpu, gpu or gpu:N.", rich_help_panel=MACHINE, hidden=True
    ),
]
