"""Options on what a command says."""

from pathlib import Path
from typing import Annotated

import typer

_MESSAGES = "Messages"

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=_MESSAGES)
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Print model, devices, failures and times, too.",
        rich_help_panel=_MESSAGES,
    ),
]
LogFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Append what happens to FILE, with times.",
        rich_help_panel=_MESSAGES,
    ),
]
