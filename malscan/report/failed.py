"""The list of images that failed, for a second try."""

from collections.abc import Sequence
from pathlib import Path

from malscan.atomic import AtomicFile
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.row import FAILED, Row, path_bytes_of
from malscan.report.summary import Summary


class FailedList:
    """Paths as `--files-from` reads them: raw bytes, one a line or each with a zero byte after it.

    A path that holds a line end is no line, and is left out of a list of lines.
    """

    def __init__(self, path: Path, *, null: bool) -> None:
        """Open the file.

        Args:
            path: where the list goes.
            null: end each path with a zero byte instead of a line end.

        Raises:
            MalscanError: it cannot be written.
        """
        self._path = path
        self._file = AtomicFile(path)
        self._end = b"\0" if null else b"\n"
        self._left_out = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Append the paths of those that failed."""
        for row in rows:
            if row.status != FAILED:
                continue
            path = path_bytes_of(row)
            if self._end == b"\n" and not _is_line(path):
                self._left_out += 1
                continue
            self._file.write(path + self._end)

    def notes(self) -> list[str]:
        """What the user must be told."""
        if not self._left_out:
            return []
        return [
            f"{self._left_out} failed paths that hold a line end are not in {self._path}: with "
            "--null it takes every path, and so does --files-from"
        ]

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Complete the file, which is empty where nothing failed."""
        self._file.close()

    def publish(self) -> None:
        """Put the list in its place."""
        self._file.publish()

    def discard(self) -> None:
        """Leave nothing of an unfinished list."""
        self._file.discard()


def _is_line(path: bytes) -> bool:
    return b"\n" not in path and not path.endswith(b"\r")
