"""Which module writes which format."""

import sys
from collections.abc import Callable
from pathlib import Path

from malscan.errors import MalscanError
from malscan.report.csv import CsvReport, CsvStream
from malscan.report.html import HtmlReport
from malscan.report.interface import Report
from malscan.report.json import JsonReport
from malscan.report.names import STDOUT

FORMATS: dict[str, Callable[[Path], Report]] = {
    ".csv": CsvReport,
    ".json": JsonReport,
    ".html": HtmlReport,
}
"""Report formats by suffix of the file, one for each of `malscan.report.names.SUFFIXES`."""


def open_report(out: str) -> Report:
    """Open one report, by the suffix of its name; `-` is CSV to stdout.

    Raises:
        MalscanError: it cannot be written there.
    """
    if out == STDOUT:
        if sys.stdout is None:
            raise MalscanError("cannot write to stdout: it is closed")
        return CsvStream(sys.stdout.buffer)
    return FORMATS[Path(out).suffix.lower()](Path(out))
