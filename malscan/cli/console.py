"""What people see on stderr, whatever the command."""

import os
import shutil
import sys

from rich.console import Console

WIDTH_OF_LOGS = 120
LEAST_WIDTH = 80
"""Columns below which rich would leave out names and digits. A narrower terminal breaks lines."""
RESEARCH_USE = "Research use only: not a diagnostic device."


def console() -> Console:
    """A console on stderr; rich itself obeys NO_COLOR and TERM=dumb.

    Where no terminal limits the width, as in a log file, tables get the width they want.
    """
    width = None if sys.stderr.isatty() else WIDTH_OF_LOGS
    found = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True, width=width)
    found.width = max(found.width, LEAST_WIDTH)
    return found


def keep_help_readable() -> None:
    """Let help, too, be broken into lines by a terminal that is narrower than `LEAST_WIDTH`."""
    if shutil.get_terminal_size().columns < LEAST_WIDTH:
        os.environ["TERMINAL_WIDTH"] = str(LEAST_WIDTH)


def bars_wanted(quiet: bool) -> bool:
    """Whether a progress bar may move the cursor."""
    return not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
