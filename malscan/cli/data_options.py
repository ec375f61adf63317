"""Options that every command on labelled cells has."""

from pathlib import Path
from typing import Annotated

import typer

_DATA = "Data"
_MESSAGES = "Messages"


def file_option(option_help: str, panel: str, metavar: str = "FILE") -> typer.models.OptionInfo:
    """An option that takes an existing file."""
    return typer.Option(
        metavar=metavar, exists=True, dir_okay=False, help=option_help, rich_help_panel=panel
    )


Data = Annotated[
    Path | None,
    typer.Argument(
        metavar="DATA",
        exists=True,
        help="Folder with two class folders, or a table (CSV): path,label[,patient].",
        show_default="what 'malscan fetch' brought",
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Class folder or label that means parasitized, if not a usual name.",
        rich_help_panel=_DATA,
    ),
]
PatientMap = Annotated[
    list[Path] | None,
    file_option("Table of patients: path,patient, or an official mapping; repeatable.", _DATA),
]
PatientPattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX", help="Finds the patient in the path (first group).", rich_help_panel=_DATA
    ),
]
PatientFolders = Annotated[
    bool,
    typer.Option("--patient-folders", help="One folder a patient.", rich_help_panel=_DATA),
]
AllowFailed = Annotated[
    bool,
    typer.Option(
        "--allow-failed",
        help="Go on though over 5 % of the images cannot be read.",
        rich_help_panel=_DATA,
    ),
]
AnySize = Annotated[
    bool,
    typer.Option("--any-size", help="Take images over 512 pixels, too.", rich_help_panel=_DATA),
]

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=_MESSAGES)
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print more detail.", rich_help_panel=_MESSAGES)
]
