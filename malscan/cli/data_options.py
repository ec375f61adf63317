"""Options that every command on labelled cells has."""

from pathlib import Path
from typing import Annotated

import typer

_DATA = "Data"


def file_option(
    option_help: str, panel: str, metavar: str = "FILE", *, hidden: bool = False
) -> typer.models.OptionInfo:
    """An option that takes an existing file."""
    return typer.Option(
        metavar=metavar,
        exists=True,
        dir_okay=False,
        help=option_help,
        rich_help_panel=panel,
        hidden=hidden,
    )


Data = Annotated[
    Path | None,
    typer.Argument(
        metavar="DATA",
        help="Folder with two class folders, or a table (CSV).",
        show_default="what 'malscan fetch' brought",
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of the parasitized class, if unusual.",
        rich_help_panel=_DATA,
    ),
]
PatientMap = Annotated[
    list[Path] | None,
    file_option("Table path,patient or official one; repeatable.", _DATA),
]
PatientPattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Finds the patient in the path: first group, or whole match.",
        rich_help_panel=_DATA,
        hidden=True,
    ),
]
PatientFolders = Annotated[
    bool,
    typer.Option(
        "--patient-folders", help="One folder a patient.", rich_help_panel=_DATA, hidden=True
    ),
]
AllowFailed = Annotated[
    bool,
    typer.Option(
        "--allow-failed",
        help="Go on though over 5 % of the images cannot be read.",
        rich_help_panel=_DATA,
        hidden=True,
    ),
]
AnySize = Annotated[
    bool,
    typer.Option(
        "--any-size",
        help="Accept images over 512 pixels on a side.",
        rich_help_panel=_DATA,
        hidden=True,
    ),
]
