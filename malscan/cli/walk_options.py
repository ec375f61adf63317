"""Options that say which images to scan."""

from typing import Annotated

import typer

WHAT = "What to scan"
_WHICH = "Which of them"

FilesFrom = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Read further paths from FILE, one a line; '-' is stdin.",
        rich_help_panel=WHAT,
    ),
]
Null = Annotated[
    bool,
    typer.Option(
        "--null",
        "-0",
        help="A zero byte ends each path in lists, not a line end.",
        rich_help_panel=WHAT,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Only images that match, as '*.tif' (name of file or folder) or 's1/**/day-?' "
        "(path below PATH); may be repeated.",
        rich_help_panel=_WHICH,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="No images or folders that match; may be repeated.",
        rich_help_panel=_WHICH,
    ),
]
Recursive = Annotated[
    bool, typer.Option(help="Enter the folders below PATH.", rich_help_panel=_WHICH)
]
FollowLinks = Annotated[
    bool, typer.Option(help="Follow symbolic links below PATH.", rich_help_panel=_WHICH)
]
Limit = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Only the first N images.",
        show_default="all",
        rich_help_panel=_WHICH,
    ),
]
