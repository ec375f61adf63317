"""JSON Lines: one image object a line, and nothing else."""

from collections.abc import Sequence
from pathlib import Path

from malscan.atomic import AtomicFile
from malscan.report.document import dumps, image_object
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.row import Row
from malscan.report.summary import Summary

_LINE_ENDS = str.maketrans({end: f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"})
"""Characters that JSON leaves as they are in a text, and some readers take for line ends."""


class JsonlReport:
    """`REPORT.jsonl`: the entries of `images` of the JSON report, in the same order."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises `MalscanError` if it cannot be written."""
        self._file = AtomicFile(path)

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows of consecutive images."""
        lines = "".join(dumps(image_object(row)) + "\n" for row in rows)
        self._file.write(lines if lines.isascii() else lines.translate(_LINE_ENDS))

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Complete the file, which holds no summary."""
        self._file.close()

    def publish(self) -> None:
        """Put the report in its place."""
        self._file.publish()

    def discard(self) -> None:
        """Leave nothing of an unfinished report."""
        self._file.discard()
