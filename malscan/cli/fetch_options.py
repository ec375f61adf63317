"""The options of `malscan fetch`, in the order of its help."""

from pathlib import Path
from typing import Annotated

import typer

_SOURCE = "Where from"
_LINE = "The line"
_KEPT = "What is kept"
_CHECK = "Checking"

Dest = Annotated[
    Path | None,
    typer.Argument(
        metavar="DEST",
        help="Folder that gets cell_images and patients.csv.",
        show_default="$MALSCAN_DATA, else malscan's data folder",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Mirror of cell_images.zip: http, https or file.",
        show_default="NLM's addresses",
        rich_help_panel=_SOURCE,
    ),
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        metavar="ZIP", help="Unpack this file, download nothing.", rich_help_panel=_SOURCE
    ),
]
Sha256 = Annotated[
    str | None,
    typer.Option(
        metavar="HASH",
        help="Hash the archive must have; 'none' takes any.",
        show_default="the published archive's",
        rich_help_panel=_SOURCE,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", help="Wait for data before trying again.", rich_help_panel=_LINE
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Attempts in a row without progress before giving up.",
        rich_help_panel=_LINE,
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Unpack only whole patients: N images or more.",
        rich_help_panel=_KEPT,
    ),
]
NoPatients = Annotated[
    bool,
    typer.Option(
        "--no-patients",
        help="No patients.csv, and no mapping files for it.",
        rich_help_panel=_KEPT,
    ),
]
KeepArchive = Annotated[
    bool,
    typer.Option("--keep-archive", help="Keep the downloads.", rich_help_panel=_KEPT),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Fetch nothing: tell if DEST is whole, exit 1 if not.",
        rich_help_panel=_CHECK,
    ),
]
Decode = Annotated[
    bool,
    typer.Option("--decode", help="With --check: decode every image, too.", rich_help_panel=_CHECK),
]
