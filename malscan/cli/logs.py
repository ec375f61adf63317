"""Where the lines go that the program logs: a file for `--log-file`, stderr for `--verbose`.

The rest of malscan logs through the standard `logging` and knows nothing of either.
"""

import logging
import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from malscan.cli.guard import outcome_of
from malscan.errors import UsageError
from malscan.image_names import is_image_name
from malscan.report.names import files_of_reports
from malscan.report.shown import shown
from malscan.versions import versions

SHOWN = {"shown": True}
"""`extra` of a line that stands on the terminal already, where `--verbose` need not repeat it."""

_log = logging.getLogger("malscan")


def check_log_file(
    log_file: Path | None,
    outs: Iterable[str],
    taken: Iterable[str | Path],
    replaced: Path | None,
) -> None:
    """Check the name of a log file before anything is appended to it.

    Args:
        log_file: what is asked for.
        outs: names of the reports of the command.
        taken: other files that it reads or writes.
        replaced: a folder that it replaces as a whole, if any.

    Raises:
        UsageError: it is one of the files of the command, or named like an image.
    """
    if log_file is None:
        return
    place = os.path.realpath(log_file)
    files = [*files_of_reports(outs), *map(Path, taken)]
    in_the_way = place in map(os.path.realpath, files) or (
        replaced is not None and Path(place).is_relative_to(os.path.realpath(replaced))
    )
    if in_the_way or is_image_name(os.fsencode(log_file.name)):
        raise UsageError(
            f"--log-file {log_file} is in the way of what this command reads or writes. Name "
            "another, such as malscan.log."
        )


@contextmanager
def logged(log_file: Path | None, *, verbose: bool) -> Iterator[None]:
    """Log the body of a command, from the command line to the exit code.

    Args:
        log_file: file to append to; None for none.
        verbose: whether lines also go to stderr.

    Raises:
        UsageError: the file cannot be opened.
    """
    handlers: list[logging.Handler] = [_Terminal()] if verbose else []
    if log_file is not None:
        handlers.append(_opened(log_file))
    propagates, _log.propagate = _log.propagate, False
    level = _log.level
    _log.setLevel(logging.INFO)
    for handler in handlers:
        _log.addHandler(handler)
    try:
        with _start_and_end_logged():
            yield
    finally:
        for handler in handlers:
            _log.removeHandler(handler)
            handler.close()
        _log.propagate = propagates
        _log.setLevel(level)


@contextmanager
def _start_and_end_logged() -> Iterator[None]:
    start = time.monotonic()
    parts = ", ".join(f"{name} {version}" for name, version in versions().items())
    _log.info("started: %s", shlex.join(["malscan", *sys.argv[1:]]))
    python = ".".join(map(str, sys.version_info[:3]))
    _log.info("%s, Python %s, in %s", parts, python, _folder())
    exit_code = 0
    try:
        yield
    except typer.Exit as end:
        exit_code = end.exit_code
        raise
    except (Exception, KeyboardInterrupt) as error:
        message, exit_code = outcome_of(error)
        _log.error(message, extra=SHOWN)
        raise
    finally:
        _log.info("ended: exit code %d after %.1f s", exit_code, time.monotonic() - start)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a path of any bytes
    except OSError:
        return "a folder that is gone"


def _opened(log_file: Path) -> logging.Handler:
    try:
        return _LogFile(log_file)
    except OSError as error:
        raise UsageError(
            f"cannot open --log-file {log_file}: {error.strerror}. Name a file in a folder that "
            "exists and is writable."
        ) from None


class _LogFile(logging.FileHandler):
    """Appends time-stamped lines; where that fails once, it says so and is silent after."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8")
        self._path = path
        self.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on without a log: a scan of hours must not end for it."""
        self.setLevel(logging.CRITICAL + 1)
        reason = sys.exc_info()[1]
        text = getattr(reason, "strerror", None) or reason
        _print(shown(f"malscan: cannot write --log-file {self._path}: {text}."))

    def close(self) -> None:
        """Close the file; what could not be written is told only once."""
        try:
            super().close()
        except OSError:
            self.stream = None


class _OneLine(logging.Formatter):
    """One record a line, whatever bytes a name holds; times with their zone."""

    def format(self, record: logging.LogRecord) -> str:
        text = os.fsencode(super().format(record)).decode("utf-8", "backslashreplace")
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created))


class _Terminal(logging.Handler):
    """Writes lines to stderr, above a progress bar if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_OneLine("%(message)s"))
        self.addFilter(lambda record: not getattr(record, "shown", False))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; that nobody reads it is no failure."""
        try:
            _print(self.format(record))
        except OSError:
            self.setLevel(logging.CRITICAL + 1)


def _print(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
