"""The options of `malscan scan`, apart from those on which images."""

from pathlib import Path
from typing import Annotated

import typer

from malscan.cli.message_options import MESSAGES
from malscan.cli.model_options import embedded_name
from malscan.cli.walk_options import WHICH
from malscan.report.names import SUFFIXES

_MODEL = "Model"
_NIGHTLY = "Run again and again"
_REPORTS = "Reports"
_FAILURES = "Images that cannot be read"


def report_names(incomplete: str) -> list[str]:
    """Names that a report may get, once the dot of its suffix is typed; else files are offered."""
    stem, dot, _ = incomplete.rpartition(".")
    return [stem + suffix for suffix in SUFFIXES] if dot else []


Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Folders of cell images, with all below, or files.",
        show_default=False,
    ),
]
Out = Annotated[
    list[str] | None,
    typer.Option(
        metavar="REPORT",
        help=f"Report to write: {', '.join(SUFFIXES)}; repeatable; '-': CSV to stdout.",
        autocompletion=report_names,
    ),
]
MontageDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for contact sheets: the cells of each slide worth a look, as PNG.",
        rich_help_panel=_REPORTS,
        hidden=True,
    ),
]
AnySize = Annotated[
    bool,
    typer.Option(
        "--any-size",
        help="Accept images over 512 pixels on a side.",
        rich_help_panel=WHICH,
        hidden=True,
    ),
]
AllowEmpty = Annotated[
    bool,
    typer.Option(
        "--allow-empty",
        help="If there is no image, write an empty report and exit 0.",
        rich_help_panel=WHICH,
        hidden=True,
    ),
]
ModelPath = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Folder of 'malscan train', .keras or .h5 file.",
        autocompletion=embedded_name,
        show_default="$MALSCAN_MODEL, else embedded",
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
        hidden=True,
    ),
]
Update = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Compute only what is new or changed.",
        rich_help_panel=_NIGHTLY,
    ),
]
VerifyContent = Annotated[
    bool,
    typer.Option(
        "--verify-content",
        help="Tell changed images by content, not by size and time.",
        rich_help_panel=_NIGHTLY,
        hidden=True,
    ),
]
Settle = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Leave images so new to the next run.",
        rich_help_panel=_NIGHTLY,
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Wait so long for another run.",
        rich_help_panel=_NIGHTLY,
    ),
]
StallTimeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Give up if nothing can be read for so long; 0: never.",
        rich_help_panel=_NIGHTLY,
        hidden=True,
    ),
]
MinCells = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Mark slides with fewer classified cells as unreliable.",
        rich_help_panel=_REPORTS,
        hidden=True,
    ),
]
SummaryOnly = Annotated[
    bool,
    typer.Option(
        "--summary-only",
        help="Leave the images out of the reports.",
        rich_help_panel=_REPORTS,
        hidden=True,
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
        hidden=True,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Only say what would be scanned and written."),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Print model, devices, failures and times, too.",
        rich_help_panel=MESSAGES,
    ),
]
LogFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Append what happens to FILE, with times.",
        rich_help_panel=MESSAGES,
    ),
]
