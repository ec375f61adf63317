"""Parquet: one typed row an image; model, settings, summary and slides in the file's metadata."""

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from malscan.atomic import AtomicFile
from malscan.errors import MalscanError
from malscan.report.document import dumps, head_object, slide_object
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.row import Row, path_bytes_of
from malscan.report.summary import Summary

METADATA_KEY = "malscan"
"""Key of the file's metadata that holds the JSON report without its images."""

ROW_GROUP = 10_000
"""Rows that are held in memory before they are written."""

COLUMNS = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("slide", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("call", pa.string()),
        pa.field("probability", pa.float64()),
        pa.field("error", pa.string()),
        pa.field("unlike", pa.float64()),
        pa.field("path_bytes", pa.binary()),
    ]
)
"""Columns of the CSV, and `path_bytes`: the path where it is not UTF-8, else null."""


class ParquetReport:
    """`REPORT.parquet`, written one row group at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises `MalscanError` if it cannot be written."""
        self._file = AtomicFile(path)
        try:
            # With Arrow's own schema in the file, its readers would pass over other metadata.
            self._writer = ParquetWriter(_Sink(self._file), COLUMNS, store_schema=False)
        except BaseException:
            self._file.discard()
            raise
        self._waiting: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows of consecutive images."""
        self._waiting += rows
        # Groups of one size: the bytes do not depend on how the rows came in.
        while len(self._waiting) >= ROW_GROUP:
            self._put(self._waiting[:ROW_GROUP])
            del self._waiting[:ROW_GROUP]

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Write the last rows, and what stands beside the images."""
        if self._waiting:
            self._put(self._waiting)
            self._waiting = []
        slides = [slide_object(slide) for slide in summary.slides]
        facts = head_object(model, scan, summary) | {"slides": slides}
        self._writer.add_key_value_metadata({METADATA_KEY: dumps(facts)})
        self._writer.close()
        self._file.close()

    def publish(self) -> None:
        """Put the report in its place."""
        self._file.publish()

    def discard(self) -> None:
        """Leave nothing of an unfinished report."""
        # An open writer would try to end its file later, when that is gone.
        with suppress(MalscanError):
            self._writer.close()
        self._file.discard()

    def _put(self, rows: Sequence[Row]) -> None:
        columns = [
            pa.array([_value(row, field.name) for row in rows], field.type) for field in COLUMNS
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=COLUMNS))


class _Sink(io.RawIOBase):
    """Hands on what Arrow writes, so that a full disk is told as for every other report."""

    def __init__(self, file: AtomicFile) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        return len(data)


def _value(row: Row, column: str) -> object:
    if column == "path_bytes":
        return None if row.path_bytes is None else path_bytes_of(row)
    return getattr(row, column)
