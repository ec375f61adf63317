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
    except MalscanError as error:
        typer.echo(f"malscan: {error}", err=True)
        _leave_hanging_threads(error.exit_code)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("malscan: interrupted", err=True)
        _leave_hanging_threads(ExitCode.INTERRUPTED)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nobody is left to be told.
        sys.stdout = None
        raise typer.Exit(ExitCode.FAILED) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if verbose:
            traceback.print_exc()
        kind = type(error).__name__
        typer.echo(
            f"malscan: unexpected error: {kind}: {error}. Run again with --verbose and report it.",
            err=True,
        )
        raise typer.Exit(ExitCode.FAILED) from None


def _leave_hanging_threads(exit_code: int) -> None:
    """End at once where a thread waits for a dead drive: an orderly end would wait for it."""
    if is_thread_abandoned():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
