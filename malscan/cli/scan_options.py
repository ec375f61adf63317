"""The options of `malscan scan`, apart from those on which images and on messages."""

from pathlib import Path
from typing import Annotated

import typer

from malscan.cli.walk_options import WHAT

_MODEL = "Model"
_NIGHTLY = "Run again and again"
_REPORTS = "Reports"
_FAILURES = "Images that cannot be read"

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH", help="Folders of cell images (with all below), or single files."
    ),
]
Out = Annotated[
    list[str] | None,
    typer.Option(
        metavar="REPORT",
        help="Report to write: .csv, .json, .jsonl, .html or .parquet; may be repeated. "
        "'-' is CSV to stdout.",
    ),
]
MontageDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for contact sheets: the cells of each slide worth a look, as PNG.",
    ),
]
AnySize = Annotated[
    bool,
    typer.Option(
        "--any-size",
        help="Accept images over 512 pixels on a side.",
        rich_help_panel=WHAT,
    ),
]
AllowEmpty = Annotated[
    bool,
    typer.Option(
        "--allow-empty",
        help="If there is no image, write an empty report and exit 0.",
        rich_help_panel=WHAT,
    ),
]
ModelPath = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Folder made by 'malscan train', or a .keras or .h5 file.",
        show_default="$MALSCAN_MODEL, else the embedded model",
        rich_help_panel=_MODEL,
    ),
]
Uncertain = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LOW HIGH",
        help="Call a cell uncertain from LOW on, below HIGH; 0 0: none.",
        show_default="the model's",
        rich_help_panel=_MODEL,
    ),
]
Update = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Compute only what is new or changed since the last run of this report.",
        rich_help_panel=_NIGHTLY,
    ),
]
VerifyContent = Annotated[
    bool,
    typer.Option(
        "--verify-content",
        help="Tell changed images by content, not by size and time.",
        rich_help_panel=_NIGHTLY,
    ),
]
Settle = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Leave images for the next run that were changed less than this ago; 0: none.",
        rich_help_panel=_NIGHTLY,
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Wait for another run that writes this report.",
        rich_help_panel=_NIGHTLY,
    ),
]
StallTimeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Give up if nothing can be read for so long; 0: never.",
        rich_help_panel=_NIGHTLY,
    ),
]
MinCells = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Mark slides with fewer classified cells as unreliable.",
        rich_help_panel=_REPORTS,
    ),
]
SummaryOnly = Annotated[
    bool,
    typer.Option(
        "--summary-only",
        help="Leave the images out of the reports.",
        rich_help_panel=_REPORTS,
    ),
]
FailedTo = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="List their paths in FILE, for --files-from.",
        rich_help_panel=_FAILURES,
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option("--keep-going", help="Exit 0 all the same, not 3.", rich_help_panel=_FAILURES),
]
FailOnFailed = Annotated[
    bool,
    typer.Option(
        "--fail-on-failed",
        help="Stop at the first one, exit 1, no report.",
        rich_help_panel=_FAILURES,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Only say what would be scanned and written."),
]
