"""Options on what a command says."""

from typing import Annotated

import typer

MESSAGES = "Messages"

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=MESSAGES)
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print more detail.", rich_help_panel=MESSAGES)
]
