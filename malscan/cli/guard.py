"""Turns what stops a command into one line on stderr and an exit code."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from malscan.errors import ExitCode, MalscanError
from malscan.scanning.watched import is_thread_abandoned


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
        os._exit(exit_code)


def outcome_of(error: BaseException) -> tuple[str, int]:
    """What the user is told of an error that stops a command, and the exit code."""
    if isinstance(error, MalscanError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return "whoever read the output has gone", ExitCode.FAILED
    kind = type(error).__name__
    advice = "Run again with --verbose and report it."
    return f"unexpected error: {kind}: {error}. {advice}", ExitCode.FAILED
