"""What a report may be called; apart from the formats, so that a wrong name is told at once."""

import os
from collections.abc import Sequence
from pathlib import Path

from malscan.errors import UsageError

STDOUT = "-"
SUFFIXES = (".csv", ".json")


def check_names(outs: Sequence[str]) -> None:
    """Check the names of reports before any work is done.

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
            known = ", ".join(SUFFIXES)
            raise UsageError(f"unknown report format: {out}. Known suffixes: {known}, or - (CSV)")
    files = [os.path.realpath(file) for out in outs for file in files_of(Path(out))]
    if len(set(files)) < len(files):
        raise UsageError("two reports in --out would write the same file (or its .summary.csv)")


def files_of(path: Path) -> tuple[Path, ...]:
    """All files that a report consists of."""
    if path.suffix.lower() == ".csv":
        return path, path.with_name(f"{path.stem}.summary.csv")
    return (path,)
