"""CSV: one row an image, and beside it one row a slide."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from malscan.atomic import AtomicFile
from malscan.errors import MalscanError
from malscan.parasitaemia import Estimate
from malscan.prediction import DECIMALS
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.names import summary_path
from malscan.report.row import Row
from malscan.report.summary import SlideSummary, Summary
from malscan.unlike import DECIMALS as UNLIKE_DECIMALS

COLUMNS = ("path", "slide", "status", "call", "probability", "error", "unlike")
SUMMARY_COLUMNS = (
    *("slide", "images", "classified", "failed", "parasitized", "uninfected", "uncertain"),
    *("apparent_parasitaemia", "apparent_low", "apparent_high"),
    *("corrected_parasitaemia", "corrected_low", "corrected_high"),
    *("reliable", "unlike", "unlike_warning"),
)


class CsvReport:
    """`REPORT.csv`, and the summary `REPORT.summary.csv`."""

    def __init__(self, path: Path) -> None:
        """Open both files; raises `MalscanError` if they cannot be written."""
        self._images = AtomicFile(path)
        try:
            self._summary = AtomicFile(summary_path(path))
        except BaseException:
            self._images.discard()
            raise
        self._images.write(csv_lines([COLUMNS]))

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows of consecutive images."""
        self._images.write(image_lines(rows))

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Complete both files."""
        rows = [_summary_cells(slide) for slide in (*summary.slides, summary.total)]
        self._summary.write(csv_lines([SUMMARY_COLUMNS, *rows]))
        self._summary.close()
        self._images.close()

    def publish(self) -> None:
        """Put both in their place, the one that was asked for last."""
        self._summary.publish()
        self._images.publish()

    def discard(self) -> None:
        """Leave nothing of unfinished files."""
        self._summary.discard()
        self._images.discard()


class CsvStream:
    """CSV rows to a stream (`--out -`): no summary, nothing to take back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._put(csv_lines([COLUMNS]))

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows of consecutive images."""
        self._put(image_lines(rows))

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Nothing to do: the rows are out."""

    def publish(self) -> None:
        """Nothing to do: the rows are out."""

    def discard(self) -> None:
        """Nothing to take back."""

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text.encode())
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise MalscanError(f"cannot write to stdout: {error.strerror}") from None


def image_lines(rows: Iterable[Row]) -> str:
    """CSV lines of some rows, without header."""
    return csv_lines(map(row_cells, rows))


def row_cells(row: Row) -> tuple[str | None, ...]:
    """The cells of one row, in the order of `COLUMNS`."""
    probability = None if row.probability is None else f"{row.probability:.{DECIMALS}f}"
    return row.path, row.slide, row.status, row.call, probability, row.error, _unlike(row.unlike)


def _summary_cells(slide: SlideSummary) -> tuple[object, ...]:
    counts = (slide.images, slide.classified, slide.failed)
    calls = (slide.parasitized, slide.uninfected, slide.uncertain)
    estimates = (*_estimate(slide.apparent), *_estimate(slide.corrected))
    reliable = "yes" if slide.reliable else "no"
    warning = None if slide.unlike_warning is None else ("no", "yes")[slide.unlike_warning]
    return (slide.slide, *counts, *calls, *estimates, reliable, _unlike(slide.unlike), warning)


def _unlike(measure: float | None) -> str | None:
    return None if measure is None else f"{measure:.{UNLIKE_DECIMALS}f}"


def _estimate(estimate: Estimate | None) -> tuple[str | None, ...]:
    if estimate is None:
        return (None, None, None)
    return tuple(f"{x:.{DECIMALS}f}" for x in (estimate.value, estimate.low, estimate.high))


def csv_lines(rows: Iterable[Iterable[object]]) -> str:
    """CSV of some rows, with line ends that every reader takes."""
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)
    return "".join(lines)


class _Lines(list[str]):
    """Lines with plain ends. Python 3.11 quotes a lone CR only if CR is part of the line end."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix("\r\n") + "\n")
