"""The Typer app."""

from typing import Annotated

import typer

from malscan import __version__
from malscan.cli.evaluate import evaluate
from malscan.cli.fetch import fetch
from malscan.cli.guard import guarded
from malscan.cli.help import Command, Group
from malscan.cli.scan import scan
from malscan.cli.train import train

app = typer.Typer(
    name="malscan",
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Tell parasitized from uninfected red blood cells in microscope crops of thin blood "
        "smears. For research use only, not for diagnosis.\n\n"
        "Examples:\n"
        "  malscan scan ./slides --out report.csv --out report.html\n"
        "  malscan fetch ./malaria\n"
        "  malscan train ./malaria/cell_images --out ./my-model\n"
        "  malscan evaluate ./own_cells --model ./my-model\n\n"
        "Each command tells more: malscan scan --help"
    ),
)
for command in (fetch, train, evaluate, scan):
    app.command(cls=Command)(command)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as installed_version

        from malscan.model import embedded_model_name

        with guarded(verbose=False):
            typer.echo(f"malscan {__version__}")
            typer.echo(f"tensorflow {installed_version('tensorflow')}")
            typer.echo(f"embedded model {embedded_model_name()}")
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
    # Also where it runs as `python -m malscan`, so that help and completion name one program.
    app(prog_name="malscan")
