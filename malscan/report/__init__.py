"""Reports of a scan: one module a format, behind the interface of `interface.py`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from malscan.errors import UsageError
from malscan.report.csv import CsvReport, CsvStream
from malscan.report.interface import Report
from malscan.report.json import JsonReport

STDOUT = "-"

FORMATS: dict[str, Callable[[Path], Report]] = {".csv": CsvReport, ".json": JsonReport}
"""Report formats by suffix of the file."""


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
        if out != STDOUT and Path(out).suffix.lower() not in FORMATS:
            known = ", ".join(FORMATS)
            raise UsageError(f"unknown report format: {out}. Known suffixes: {known}, or - (CSV)")


def open_report(out: str) -> Report:
    """Open one report, by the suffix of its name; `-` is CSV to stdout.

    Raises:
        MalscanError: it cannot be written there.
    """
    if out == STDOUT:
        return CsvStream(sys.stdout)
    return FORMATS[Path(out).suffix.lower()](Path(out))
