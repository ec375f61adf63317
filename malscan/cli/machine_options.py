"""Options on what to compute on, which scan, evaluate and train share."""

from typing import Annotated

import typer

from malscan.settings import Precision

MACHINE = "Machine"

PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="Numbers to compute in; bfloat16: processors and GPUs that have it; float16: GPU.",
        rich_help_panel=MACHINE,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, gpu or gpu:N.", rich_help_panel=MACHINE)]
