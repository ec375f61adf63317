"""Turns what stops a command into one line on stderr and an exit code."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from malscan.cli.last_words import leave_in_order
from malscan.errors import ExitCode, MalscanError
from malscan.scanning.watched import is_thread_abandoned

_NO_MEMORY = (
    "not enough memory, or a limit on it (ulimit -v, or that of the job). Free some, or raise the "
    "limit; a smaller --batch-size needs less. What scan, train and fetch had done is kept: the "
    "same command goes on from there."
)
_WORDS_FOR_NO_MEMORY = (
    "MemoryError",
    "Cannot allocate memory",
    "failed to map segment",
    "can't start new thread",
)


@contextmanager
def guarded(*, verbose: bool) -> Iterator[None]:
    """Run the body of a command; no traceback reaches the user, unless `verbose` asks for it."""
    try:
        yield
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nobody is left to be told.
        sys.stdout = None
        raise typer.Exit(ExitCode.FAILED) from None
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:
        message, exit_code = outcome_of(error)
        if verbose and not isinstance(error, (MalscanError, KeyboardInterrupt)):
            traceback.print_exc()
        typer.echo(f"malscan: {message}", err=True)
        _leave_hanging_threads(exit_code)
        raise typer.Exit(exit_code) from None


def _leave_hanging_threads(exit_code: int) -> None:
    """End at once where a thread waits for a dead drive: an orderly end would wait for it."""
    if is_thread_abandoned():
        sys.stderr.flush()
        leave_in_order()
        os._exit(exit_code)


def outcome_of(error: BaseException) -> tuple[str, int]:
    """What the user is told of an error that stops a command, and the exit code."""
    if isinstance(error, MalscanError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return "whoever read the output has gone", ExitCode.FAILED
    if _lacks_memory(error):
        return _NO_MEMORY, ExitCode.FAILED
    kind = type(error).__name__
    advice = "Run again with --verbose and report it."
    return f"unexpected error: {kind}: {error}. {advice}", ExitCode.FAILED


def _lacks_memory(error: BaseException) -> bool:
    """Whether an error, of whatever library, says that memory has run out."""
    # TensorFlow is not to be loaded for the name of its error.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return any(words in str(error) for words in _WORDS_FOR_NO_MEMORY)
