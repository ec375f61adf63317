"""`malscan fetch`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from malscan.cli.guard import guarded
from malscan.cli.help import HelpAll
from malscan.errors import UsageError
from malscan.fetch.settings import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    CheckSettings,
    FetchSettings,
    Patience,
)
from malscan.place import data_folder
from malscan.quiet import native_output_hidden
from malscan.stopping import StopRequests

_SOURCE = "Where from"
_LINE = "The line"
_KEPT = "What is kept"
_CHECK = "Checking"
_MESSAGES = "Messages"


def fetch(
    dest: Annotated[
        Path | None,
        typer.Argument(
            metavar="DEST",
            help="Folder that gets cell_images and patients.csv.",
            show_default="$MALSCAN_DATA, else malscan's data folder",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Mirror of cell_images.zip: http, https or file.",
            show_default="NLM's addresses",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            metavar="ZIP", help="Unpack this file, download nothing.", rich_help_panel=_SOURCE
        ),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="Hash the archive must have; 'none' takes any.",
            show_default="the published archive's",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Longest silence of the line.", rich_help_panel=_LINE),
    ] = DEFAULT_TIMEOUT,
    retries: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Fruitless attempts in a row that are borne.",
            rich_help_panel=_LINE,
        ),
    ] = DEFAULT_RETRIES,
    sample: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Unpack only whole patients: N images or more.",
            rich_help_panel=_KEPT,
        ),
    ] = None,
    no_patients: Annotated[
        bool,
        typer.Option(
            "--no-patients",
            help="No patients.csv, and no mapping files for it.",
            rich_help_panel=_KEPT,
        ),
    ] = False,
    keep_archive: Annotated[
        bool,
        typer.Option("--keep-archive", help="Keep the downloads.", rich_help_panel=_KEPT),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Fetch nothing: tell if DEST is whole, exit 1 if not.",
            rich_help_panel=_CHECK,
        ),
    ] = False,
    decode: Annotated[
        bool,
        typer.Option(
            "--decode", help="With --check: decode every image, too.", rich_help_panel=_CHECK
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=_MESSAGES),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Print more detail.", rich_help_panel=_MESSAGES),
    ] = False,
    help_all: HelpAll = False,
) -> None:
    """Download the NIH/NLM cell images (353 MB), verify and unpack them.

    Examples:
      malscan fetch ./malaria
      malscan fetch ./malaria --from-file cell_images.zip
      malscan fetch ./malaria --check

    Whatever ends it, the same command goes on where it stopped.

    Exit codes: 0 done or whole already, 1 failed or (--check) not whole,
    2 usage, 75 another run at work, 130 interrupted, 143 terminated.
    """
    with guarded(verbose=verbose):
        place = dest or data_folder()
        if check:
            if url or from_file or sha256 or sample or no_patients or keep_archive:
                raise UsageError("--check fetches nothing. Leave out the options for fetching.")
            exit_code = _check(CheckSettings(place, decode), quiet, verbose)
        elif decode:
            raise UsageError("--decode needs --check.")
        else:
            settings = FetchSettings(
                dest=place,
                url=url,
                from_file=from_file,
                sha256=sha256,
                sample=sample,
                patients=not no_patients,
                keep_archive=keep_archive,
                patience=Patience(timeout, retries),
            )
            exit_code = _fetch(settings, quiet)
        raise typer.Exit(exit_code)


def _fetch(settings: FetchSettings, quiet: bool) -> int:
    from malscan.cli.fetch_display import FetchDisplay, print_fetch
    from malscan.fetch.fetch import fetch as run

    with StopRequests() as stop, FetchDisplay(quiet, stop.check) as display:
        result = run(settings, display.listener())
    if not quiet:
        print_fetch(result)
    return 0


def _check(settings: CheckSettings, quiet: bool, verbose: bool) -> int:
    from malscan.cli.fetch_display import FetchDisplay, print_check
    from malscan.fetch.check import check as run

    # Only to decode needs libraries that talk on their own.
    hidden = native_output_hidden(not verbose) if settings.decode else nullcontext()
    with StopRequests() as stop, hidden, FetchDisplay(quiet, stop.check) as display:
        result = run(settings, display.listener())
    print_check(result, quiet, verbose)
    return result.exit_code
