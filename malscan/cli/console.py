"""What people see on stderr, whatever the command."""

import os
import sys

from rich.console import Console

WIDTH_OF_LOGS = 120
RESEARCH_USE = "Research use only: not a diagnostic device."


def console() -> Console:
    """A console on stderr; rich itself obeys NO_COLOR and TERM=dumb.

    Where no terminal limits the width, as in a log file, tables get the width they want.
    """
    width = None if sys.stderr.isatty() else WIDTH_OF_LOGS
    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=True, width=width)


def bars_wanted(quiet: bool) -> bool:
    """Whether a progress bar may move the cursor."""
    return not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
