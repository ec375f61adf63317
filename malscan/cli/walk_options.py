"""Options that say which images to scan."""

from typing import Annotated

import typer

WHICH = "Which images"

FilesFrom = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Read more paths from FILE, one a line; '-': stdin.",
        rich_help_panel=WHICH,
    ),
]
Null = Annotated[
    bool,
    typer.Option(
        "--null",
        "-0",
        help="A zero byte ends each path in lists, not a line end.",
        rich_help_panel=WHICH,
        hidden=True,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Only what matches, as '*.tif'; repeatable.",
        rich_help_panel=WHICH,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="No images or folders that match; repeatable.",
        rich_help_panel=WHICH,
    ),
]
Recursive = Annotated[
    bool, typer.Option(help="Enter the folders below PATH.", rich_help_panel=WHICH, hidden=True)
]
FollowLinks = Annotated[
    bool,
    typer.Option(help="Follow symbolic links below PATH.", rich_help_panel=WHICH, hidden=True),
]
Limit = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Only the first N images.",
        show_default="all",
        rich_help_panel=WHICH,
        hidden=True,
    ),
]
