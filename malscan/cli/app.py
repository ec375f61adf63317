"""The Typer app."""

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from malscan import __version__
from malscan.cli.console import keep_help_readable
from malscan.cli.evaluate import evaluate
from malscan.cli.fetch import fetch
from malscan.cli.guard import guarded
from malscan.cli.last_words import last_words
from malscan.cli.scan import scan
from malscan.cli.train import train
from malscan.errors import ExitCode
from malscan.streams import fill_missing_descriptors, messages_to

app = typer.Typer(
    name="malscan",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Tell parasitized from uninfected red blood cells in microscope crops of thin blood "
        "smears. For research use only, not for diagnosis."
    ),
)
app.command()(fetch)
app.command()(train)
app.command()(evaluate)
app.command()(scan)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as installed_version

        from malscan.model import embedded_model_name

        with guarded(verbose=False):
            model = embedded_model_name()
        typer.echo(f"malscan {__version__}")
        typer.echo(f"tensorflow {installed_version('tensorflow')}")
        typer.echo(f"embedded model {model}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show versions and exit."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """Entry point of the console script."""
    fill_missing_descriptors()
    with ExitStack() as stack:
        if sys.stderr is sys.__stderr__:  # else who calls this has a process of their own
            sys.stderr = messages_to(2)
            stack.enter_context(last_words())
        keep_help_readable()
        try:
            app()
        except OSError as error:
            # Commands deal with their own: this is of help that stdout does not take.
            sys.stdout = None
            typer.echo(f"malscan: cannot write to stdout: {error.strerror}", err=True)
            raise SystemExit(ExitCode.FAILED) from None
