"""`malscan fetch`."""

from contextlib import nullcontext

import typer

from malscan.cli import fetch_options as options
from malscan.cli import message_options
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


def fetch(
    dest: options.Dest = None,
    url: options.Url = None,
    from_file: options.FromFile = None,
    sha256: options.Sha256 = None,
    timeout: options.Timeout = DEFAULT_TIMEOUT,
    retries: options.Retries = DEFAULT_RETRIES,
    sample: options.Sample = None,
    no_patients: options.NoPatients = False,
    keep_archive: options.KeepArchive = False,
    check: options.Check = False,
    decode: options.Decode = False,
    quiet: message_options.Quiet = False,
    verbose: message_options.Verbose = False,
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
