"""What a report may be called; apart from the formats, so that a wrong name is told at once."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from malscan.errors import UsageError
from malscan.near import did_you_mean, nearest

STDOUT = "-"
SUFFIXES = (".csv", ".json", ".jsonl", ".parquet", ".html")


def check_names(outs: Sequence[str], failed_to: Path | None = None) -> None:
    """Check the names of reports before any work is done.

    Args:
        outs: names of reports.
        failed_to: name of the list of failed images, if there is to be one.

    Raises:
        UsageError: none, an unknown suffix, a name twice, or stdout among others.
    """
    if not outs:
        raise UsageError("no report asked for. Add --out report.csv")
    if len(set(outs)) < len(outs):
        raise UsageError("the same report is named twice in --out")
    if STDOUT in outs and len(outs) > 1:
        raise UsageError("--out - writes to stdout and cannot be combined with other reports")
    for out in outs:
        if out != STDOUT and Path(out).suffix.lower() not in SUFFIXES:
            raise UsageError(f"unknown report format: {out}.{_formats_like(out)}")
    files = files_of_reports(outs)
    if len({os.path.realpath(file) for file in files}) < len(files):
        raise UsageError("two of the files that these --out write would have the same name")
    if str(failed_to) == STDOUT:
        raise UsageError("--failed-to writes to a file, not to stdout. Name one.")
    if failed_to is not None and os.path.realpath(failed_to) in map(os.path.realpath, files):
        raise UsageError(f"--failed-to {failed_to} would replace a file of a report. Name another.")


def _formats_like(out: str) -> str:
    """What to name a report instead."""
    suffix = nearest(Path(out).suffix, SUFFIXES)
    meant = did_you_mean(str(Path(out).with_suffix(suffix)) if suffix else None)
    return f"{meant} Known suffixes: {', '.join(SUFFIXES)}, or - (CSV)"


def check_montage(montage: Path, outs: Iterable[str], paths: Iterable[str]) -> None:
    """Check where contact sheets are to go before any work is done.

    Args:
        montage: their folder, which is replaced as a whole.
        outs: names of reports and lists.
        paths: folders and files to scan.

    Raises:
        UsageError: a report lies in it, or the next scan would take the sheets for cells.
    """
    place = Path(os.path.realpath(montage))
    for out in outs:
        if out != STDOUT and Path(os.path.realpath(out)).is_relative_to(place):
            raise UsageError(f"{out} lies in --montage {montage}. Name another folder.")
    for path in paths:
        if place.is_relative_to(os.path.realpath(path)):
            raise UsageError(
                f"--montage {montage} lies in {path}, so that the next scan would take the sheets "
                "for cells. Name a folder elsewhere."
            )


def summary_path(report: Path) -> Path:
    """Where the summary of a CSV report lies."""
    return report.with_name(f"{report.stem}.summary.csv")


def run_record_path(report: Path) -> Path:
    """Where the record of the run that made a report lies."""
    return Path(f"{report}.run.json")


def files_of_reports(outs: Iterable[str]) -> list[Path]:
    """All files that a scan leaves under the names of its reports."""
    reports = [Path(out) for out in outs if out != STDOUT]
    files = []
    for report in reports:
        is_csv = report.suffix.lower() == ".csv"
        files += [report, summary_path(report)] if is_csv else [report]
    return [*files, *map(run_record_path, reports[:1])]
