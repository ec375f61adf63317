"""Rows on disk until the totals are known, so that memory does not grow with a scan."""

import contextlib
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import fields
from operator import attrgetter
from pathlib import Path

from malscan.errors import MalscanError
from malscan.report.row import Row

_values = attrgetter(*(field.name for field in fields(Row)))


class RowSpool:
    """Rows in their order, in a file without a name, which is gone even if we are killed.

    Attributes:
        empty: whether no row was written.
    """

    def __init__(self, output: Path) -> None:
        """Open the file on the disk of the output that it is for.

        Raises:
            MalscanError: no file can be written there.
        """
        self._output = output
        self.empty = True
        try:
            self._file = tempfile.TemporaryFile(dir=output.parent)  # noqa: SIM115
        except OSError as error:
            raise self._cannot_spool(error) from None

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows.

        Raises:
            MalscanError: the disk is full, or fails.
        """
        values = [_values(row) for row in rows]
        self.empty &= not values
        try:
            pickle.dump(values, self._file, pickle.HIGHEST_PROTOCOL)
        except OSError as error:
            raise self._cannot_spool(error) from None

    def __iter__(self) -> Iterator[Row]:
        """All rows, from the first.

        Raises:
            MalscanError: the disk fails.
        """
        try:
            self._file.seek(0)
            while True:
                try:
                    rows = pickle.load(self._file)
                except EOFError:
                    return
                yield from (Row(*values) for values in rows)
        except OSError as error:
            raise self._cannot_spool(error) from None

    def close(self) -> None:
        """Give the disk its room back."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _cannot_spool(self, error: OSError) -> MalscanError:
        return MalscanError(
            f"cannot write {self._output}: {error.strerror}. Check that the disk has space."
        )
