"""`malscan scan`."""

import errno
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import typer

from malscan.cli import (
    cluster_options,
    machine_options,
    message_options,
    model_options,
    scan_options,
    walk_options,
)
from malscan.cli.guard import guarded
from malscan.cli.help import HelpAll
from malscan.cli.logs import SHOWN, check_log_file, logged
from malscan.cluster.settings import SHARD_SIZE, TIMEOUT, ClusterSettings
from malscan.errors import MalscanError, UsageError
from malscan.path_list import read_list
from malscan.quiet import native_output_hidden
from malscan.selection import Selection
from malscan.settings import (
    DEFAULT_BATCH_SIZE,
    MIN_CELLS,
    Computing,
    KerasFileSettings,
    NightlySettings,
    Precision,
    ScanSettings,
)
from malscan.stopping import StopRequests

_log = logging.getLogger(__name__)


def scan(
    paths: scan_options.Paths = None,
    out: scan_options.Out = None,
    montage: scan_options.MontageDir = None,
    dry_run: scan_options.DryRun = False,
    files_from: walk_options.FilesFrom = None,
    null: walk_options.Null = False,
    include: walk_options.Include = None,
    exclude: walk_options.Exclude = None,
    recursive: walk_options.Recursive = True,
    follow_links: walk_options.FollowLinks = True,
    limit: walk_options.Limit = None,
    any_size: scan_options.AnySize = False,
    allow_empty: scan_options.AllowEmpty = False,
    model: scan_options.ModelPath = None,
    rescale: model_options.Rescale = None,
    resize_kernel: model_options.ResizeKernel = None,
    class_order: model_options.ClassOrderOption = None,
    threshold: model_options.Threshold = None,
    uncertain: scan_options.Uncertain = None,
    batch_size: model_options.BatchSize = DEFAULT_BATCH_SIZE,
    precision: machine_options.PrecisionOption = Precision.AUTO,
    device: machine_options.Device = "auto",
    update: scan_options.Update = False,
    verify_content: scan_options.VerifyContent = False,
    settle: scan_options.Settle = 0,
    wait: scan_options.Wait = 0,
    stall_timeout: scan_options.StallTimeout = 300,
    cluster: cluster_options.Cluster = None,
    cluster_timeout: cluster_options.ClusterTimeout = TIMEOUT,
    shard_size: cluster_options.ShardSize = SHARD_SIZE,
    min_cells: scan_options.MinCells = MIN_CELLS,
    summary_only: scan_options.SummaryOnly = False,
    failed_to: scan_options.FailedTo = None,
    keep_going: scan_options.KeepGoing = False,
    fail_on_failed: scan_options.FailOnFailed = False,
    quiet: message_options.Quiet = False,
    verbose: scan_options.Verbose = False,
    log_file: scan_options.LogFile = None,
    help_all: HelpAll = False,
) -> None:
    """Classify cell images and write a report.

    Examples:
      malscan scan ./slides --out report.csv --out report.html
      malscan scan ./slides --out report.csv --update --wait 3600
      malscan scan ./slides --out report.csv --model ./my-model

    Exit codes: 0 done, 1 failed, 2 usage, 3 done but some images could not
    be read, 75 another run at work, 130 interrupted, 143 terminated.
    """
    with guarded(verbose=verbose):
        if quiet and verbose:
            raise UsageError("--quiet and --verbose exclude each other. Give one of them.")
        taken = [path for path in (failed_to, files_from, model) if path is not None]
        check_log_file(log_file, out or (), taken, montage)
        with logged(log_file, verbose=verbose), _listed(files_from, null) as listed:
            if not paths and files_from is None:
                raise UsageError(
                    "nothing to scan. Name a folder: malscan scan ./slides --out r.csv"
                )
            settings = ScanSettings(
                paths=tuple(paths or ()),
                outs=tuple(out or ()),
                listed=listed,
                null=null,
                selection=Selection(
                    tuple(include or ()), tuple(exclude or ()), recursive, follow_links, limit
                ),
                model=model,
                keras_file=KerasFileSettings(rescale, resize_kernel, class_order),
                threshold=threshold,
                uncertain=uncertain,
                min_cells=min_cells,
                summary_only=summary_only,
                failed_to=failed_to,
                batch_size=batch_size,
                any_size=any_size,
                keep_going=keep_going,
                fail_on_failed=fail_on_failed,
                allow_empty=allow_empty,
                nightly=NightlySettings(update, verify_content, settle, wait, stall_timeout),
                montage=montage,
                computing=Computing(precision, device),
                cluster=_cluster(cluster, shard_size, cluster_timeout),
            )
            with StopRequests() as stop, native_output_hidden():
                exit_code = (_dry_run if dry_run else _run)(settings, stop, quiet)
            raise typer.Exit(exit_code)


def _cluster(where: str | None, shard_size: int, timeout: float) -> ClusterSettings | None:
    if where is None:
        return None
    return ClusterSettings.parse(where, shard_size=shard_size, timeout=timeout)


def _run(settings: ScanSettings, stop: StopRequests, quiet: bool) -> int:
    from malscan.cli.console import bars_wanted
    from malscan.cli.scan_display import ScanBar, log_scan, print_scan
    from malscan.scan import scan as run
    from malscan.scanning.listener import ScanListener

    bar = ScanBar(bars_wanted(quiet))

    def message(text: str) -> None:
        _log.info("%s", text, extra=SHOWN)
        if not quiet:
            bar.message(text)

    try:
        result = run(settings, ScanListener(bar, message, stop.check))
    finally:
        bar.close()
    log_scan(result, settings.outs)
    if not quiet:
        print_scan(result, settings.outs, settings.montage)
    return result.exit_code


def _dry_run(settings: ScanSettings, stop: StopRequests, quiet: bool) -> int:
    from malscan.cli.plan_display import print_plan
    from malscan.plan import plan_scan

    plan = plan_scan(settings, stop.check)
    _log.info("dry run: %d images in %d slides", plan.images, len(plan.slides), extra=SHOWN)
    if not quiet:
        print_plan(plan)
    return plan.exit_code


@contextmanager
def _listed(files_from: str | None, null: bool) -> Iterator[Iterator[str]]:
    """The paths of a list, copied to disk first: a slow pipe must not hold up the scan."""
    if files_from is None:
        yield iter(())
        return
    with _copy_of_list() as copy:
        try:
            if files_from != "-":
                with Path(files_from).open("rb") as file:
                    shutil.copyfileobj(file, copy)
            elif sys.stdin is None:
                raise UsageError("cannot read --files-from -: stdin is closed. Name a file.")
            else:
                shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.seek(0)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _no_temporary_file(error) from None
            raise UsageError(f"cannot read --files-from {files_from}: {error.strerror}") from None
        yield read_list(copy, null=null)


def _copy_of_list() -> BinaryIO:
    try:
        return cast(BinaryIO, tempfile.TemporaryFile())
    except OSError as error:
        raise _no_temporary_file(error) from None


def _no_temporary_file(error: OSError) -> MalscanError:
    return MalscanError(
        f"no temporary file can be made: {error.strerror}. Set TMPDIR to a folder that can be "
        "written and has space."
    )
