"""`malscan scan`."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from malscan.cli import cluster_options, model_options
from malscan.cli.guard import guarded
from malscan.cluster.settings import SHARD_SIZE, TIMEOUT, ClusterSettings
from malscan.errors import UsageError
from malscan.quiet import native_output_hidden
from malscan.settings import DEFAULT_BATCH_SIZE, KerasFileSettings, NightlySettings, ScanSettings
from malscan.stopping import StopRequests
from malscan.walk import read_list

_WHAT = "What to scan"
_MODEL = "Model"
_NIGHTLY = "Run again and again"
_FAILURES = "Images that cannot be read"
_MESSAGES = "Messages"


def scan(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH", help="Folders of cell images (with all below), or single files."
        ),
    ] = None,
    out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REPORT",
            help="Report to write: .csv or .json; may be repeated. '-' is CSV to stdout.",
        ),
    ] = None,
    files_from: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Read further paths from FILE, one a line; '-' is stdin.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    any_size: Annotated[
        bool,
        typer.Option(
            "--any-size",
            help="Accept images over 512 pixels on a side.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option(
            "--allow-empty",
            help="If there is no image, write an empty report and exit 0.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Folder made by 'malscan train', or a .keras or .h5 file.",
            show_default="$MALSCAN_MODEL, else the embedded model",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    rescale: model_options.Rescale = None,
    resize_kernel: model_options.ResizeKernel = None,
    class_order: model_options.ClassOrderOption = None,
    threshold: model_options.Threshold = None,
    batch_size: model_options.BatchSize = DEFAULT_BATCH_SIZE,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Compute only what is new or changed since the last run of this report.",
            rich_help_panel=_NIGHTLY,
        ),
    ] = False,
    verify_content: Annotated[
        bool,
        typer.Option(
            "--verify-content",
            help="Tell changed images by content, not by size and time.",
            rich_help_panel=_NIGHTLY,
        ),
    ] = False,
    settle: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Leave images for the next run that were changed less than this ago.",
            rich_help_panel=_NIGHTLY,
        ),
    ] = 0,
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Wait for another run that writes this report.",
            rich_help_panel=_NIGHTLY,
        ),
    ] = 0,
    stall_timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Give up if nothing can be read for so long; 0: never.",
            rich_help_panel=_NIGHTLY,
        ),
    ] = 300,
    cluster: cluster_options.Cluster = None,
    cluster_timeout: cluster_options.ClusterTimeout = TIMEOUT,
    shard_size: cluster_options.ShardSize = SHARD_SIZE,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="Exit 0 all the same, not 3.", rich_help_panel=_FAILURES),
    ] = False,
    fail_on_failed: Annotated[
        bool,
        typer.Option(
            "--fail-on-failed",
            help="Stop at the first one, exit 1, no report.",
            rich_help_panel=_FAILURES,
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
) -> None:
    """Classify cell images and write a report.

    Example: malscan scan ./slides --out report.csv --out report.json

    Exit codes: 0 done; 1 failed; 2 usage; 3 done, but some images could not be read; 75 another
    run writes this report; 130 interrupted; 143 terminated.
    """
    with guarded(verbose=verbose):
        if not paths and files_from is None:
            raise UsageError("nothing to scan. Name a folder: malscan scan ./slides --out r.csv")
        with _listed(files_from) as listed:
            settings = ScanSettings(
                paths=tuple(paths or ()),
                outs=tuple(out or ()),
                listed=listed,
                model=model,
                keras_file=KerasFileSettings(rescale, resize_kernel, class_order),
                threshold=threshold,
                batch_size=batch_size,
                any_size=any_size,
                keep_going=keep_going,
                fail_on_failed=fail_on_failed,
                allow_empty=allow_empty,
                nightly=NightlySettings(update, verify_content, settle, wait, stall_timeout),
                cluster=_cluster(cluster, shard_size, cluster_timeout),
            )
            with StopRequests() as stop, native_output_hidden(not verbose):
                exit_code = _run(settings, stop, quiet)
        raise typer.Exit(exit_code)


def _cluster(where: str | None, shard_size: int, timeout: float) -> ClusterSettings | None:
    if where is None:
        return None
    return ClusterSettings.parse(where, shard_size=shard_size, timeout=timeout)


def _run(settings: ScanSettings, stop: StopRequests, quiet: bool) -> int:
    from malscan.cli.console import bars_wanted
    from malscan.cli.scan_display import ScanBar, print_scan
    from malscan.scan import scan as run
    from malscan.scanning.listener import ScanListener

    bar = ScanBar(bars_wanted(quiet))
    message = (lambda text: None) if quiet else bar.message
    try:
        result = run(settings, ScanListener(bar, message, stop.check))
    finally:
        bar.close()
    if not quiet:
        # The reports are there; that nobody reads the messages is no failure.
        with suppress(BrokenPipeError):
            print_scan(result, settings.outs)
    return result.exit_code


@contextmanager
def _listed(files_from: str | None) -> Iterator[Iterator[str]]:
    """The paths of a list, copied to disk first: a slow pipe must not hold up the scan."""
    with tempfile.TemporaryFile() as copy:
        try:
            if files_from == "-":
                shutil.copyfileobj(sys.stdin.buffer, copy)
            elif files_from is not None:
                with Path(files_from).open("rb") as file:
                    shutil.copyfileobj(file, copy)
            copy.seek(0)
        except OSError as error:
            raise UsageError(f"cannot read --files-from {files_from}: {error.strerror}") from None
        yield read_list(copy)
