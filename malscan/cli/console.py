"""What people see on stderr, whatever the command."""

import os
import shutil
import sys

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from malscan.report.shown import shown

WIDTH_OF_LOGS = 120
LEAST_WIDTH = 80
"""Columns below which rich would leave out names and digits. A narrower terminal breaks lines."""
RESEARCH_USE = "Research use only: not a diagnostic device."


def console() -> Console:
    """A console on stderr; rich itself obeys NO_COLOR and TERM=dumb.

    Where no terminal limits the width, as in a log file, tables get the width they want.
    """
    width = None if sys.stderr.isatty() else WIDTH_OF_LOGS
    out = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True, width=width)
    out.width = max(out.width, LEAST_WIDTH)
    out.push_render_hook(_OnlyText())
    return out


def keep_help_readable() -> None:
    """Let help, too, be broken into lines by a terminal that is narrower than `LEAST_WIDTH`."""
    if shutil.get_terminal_size().columns < LEAST_WIDTH:
        os.environ["TERMINAL_WIDTH"] = str(LEAST_WIDTH)


class _OnlyText(RenderHook):
    """Lets no control character of a name through to the terminal, which would obey it."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Visible(one) for one in renderables]


class _Visible:
    """What something renders to, with everything unseen in it made visible but line ends."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._inner, options):
            lines = text if control else "\n".join(map(shown, text.split("\n")))
            yield Segment(lines, style, control)


def bars_wanted(quiet: bool) -> bool:
    """Whether a progress bar may move the cursor."""
    return not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
