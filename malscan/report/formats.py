"""Which module writes which format."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from malscan.errors import MalscanError
from malscan.report.csv import CsvReport, CsvStream
from malscan.report.interface import ModelFacts, Report, ScanFacts
from malscan.report.json import JsonReport
from malscan.report.jsonl import JsonlReport
from malscan.report.names import STDOUT
from malscan.report.row import Row
from malscan.report.summary import Summary


def _parquet(path: Path) -> Report:
    # Loading it takes a while, and memory, that no other report needs.
    from malscan.report.parquet import ParquetReport

    return ParquetReport(path)


def _html(path: Path) -> Report:
    from malscan.report.html import HtmlReport

    return HtmlReport(path)


FORMATS: dict[str, Callable[[Path], Report]] = {
    ".csv": CsvReport,
    ".json": JsonReport,
    ".jsonl": JsonlReport,
    ".parquet": _parquet,
    ".html": _html,
}
"""Report formats by suffix of the file, one for each of `malscan.report.names.SUFFIXES`."""


def open_report(out: str, *, summary_only: bool = False) -> Report:
    """Open one report, by the suffix of its name; `-` is CSV to stdout.

    Args:
        out: name of the report.
        summary_only: leave the images out of it.

    Raises:
        MalscanError: it cannot be written there.
    """
    report = _open(out)
    return SummaryOnly(report) if summary_only else report


def _open(out: str) -> Report:
    if out == STDOUT:
        if sys.stdout is None:
            raise MalscanError("cannot write to stdout: it is closed")
        return CsvStream(sys.stdout.buffer)
    return FORMATS[Path(out).suffix.lower()](Path(out))


class SummaryOnly:
    """A report of any format without its images."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def write(self, rows: Sequence[Row]) -> None:
        """Leave images out."""

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Complete the report."""
        self._report.finish(model, scan, summary)

    def publish(self) -> None:
        """Put the report in its place."""
        self._report.publish()

    def discard(self) -> None:
        """Leave nothing of an unfinished report."""
        self._report.discard()
