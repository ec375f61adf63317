"""What is known of images, on disk: survives a kill, and is read by the next run.

A journal is an SQLite file, which holds whole transactions or none of them, with one row an
image that was read, keyed by its absolute path. Each row carries a checksum, so that a damaged
journal costs time and never a wrong probability.
"""

import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from malscan.errors import MalscanError
from malscan.scanning.fingerprint import Fingerprint

COMMIT_SECONDS = 2.0
"""At most so much work is lost with a process that is killed."""

_SCHEMA = "malscan.journal/1"
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
    path BLOB PRIMARY KEY, size INTEGER, modified INTEGER, content BLOB,
    probability REAL, unlike REAL, grey INTEGER, checksum INTEGER
) WITHOUT ROWID;
"""


_FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What a journal raises that cannot be read: damage may reach the names of its columns."""


class DamagedError(Exception):
    """A journal that cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one image that was read.

    Attributes:
        path: its absolute path.
        size: of the file, bytes.
        modified: when the file was last modified, ns since 1970; None where it had just been
            modified when it was read, so that a later change might bear the same time.
        content: digest of the file; None if it was not asked for.
        probability: of `parasitized`, 0..1.
        unlike: how unlike the cells of the training it is, 0..1; None if not known.
        grey: whether the file holds no colour.
    """

    path: bytes
    size: int
    modified: int | None
    content: bytes | None
    probability: float
    unlike: float | None
    grey: bool


class Journal:
    """An open journal; may be used from two threads."""

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        """Take over an open connection; see `create` and `open_journal`."""
        self.file = file
        self._connection = connection
        self._lock = threading.Lock()
        self._committed = time.monotonic()

    @classmethod
    def create(cls, file: Path, fingerprint: Fingerprint) -> "Journal":
        """Begin an empty journal, in place of what was there.

        Raises:
            MalscanError: it cannot be written.
        """
        try:
            remove(file)
            connection = _connect(file, "rwc")
            connection.executescript(_TABLES)
            facts = {"schema": _SCHEMA, "fingerprint": json.dumps(dict(fingerprint))}
            connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            connection.commit()
        except (OSError, sqlite3.Error) as error:
            with suppress(OSError):
                remove(file)
                file.parent.rmdir()
            raise _cannot_write(file, error) from None
        return cls(file, connection)

    def fingerprint(self) -> Fingerprint:
        """What its entries follow from.

        Raises:
            DamagedError: it cannot be read.
        """
        try:
            found = json.loads(self._facts()["fingerprint"])
        except (sqlite3.Error, KeyError, ValueError, TypeError):
            raise DamagedError from None
        if not isinstance(found, dict):
            raise DamagedError
        return found

    def _facts(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT name, value FROM facts").fetchall())

    def check(self) -> None:
        """Read everything once.

        Raises:
            DamagedError: something is not as it was written.
        """
        try:
            if self._connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise DamagedError
            if self._facts().get("schema") != _SCHEMA:
                raise DamagedError
            for row in self._connection.execute("SELECT * FROM images"):
                _entry(row)
        except _FAULTS:
            raise DamagedError from None

    def count(self) -> int:
        """How many images are known.

        Raises:
            DamagedError: it cannot be read.
        """
        try:
            with self._lock:
                found = self._connection.execute("SELECT count(*) FROM images")
                return int(found.fetchone()[0])
        except sqlite3.Error:
            raise DamagedError from None

    def find(self, path: bytes) -> Entry | None:
        """What is known of an image.

        Raises:
            DamagedError: the journal cannot be read, or the entry is not as it was written.
        """
        try:
            with self._lock:
                found = self._connection.execute("SELECT * FROM images WHERE path = ?", (path,))
                row = found.fetchone()
        except _FAULTS:
            raise DamagedError from None
        return None if row is None else _entry(row)

    def add(self, entries: Iterable[Entry]) -> None:
        """Remember images; now and then everything is written to the disk.

        Raises:
            MalscanError: the disk is full, or the folder is gone.
        """
        cells = map(_cells, entries)
        rows = [(*values, _checksum(values)) for values in cells]
        try:
            with self._lock:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
                )
        except sqlite3.Error as error:
            raise _cannot_write(self.file, error) from None
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Write everything to the disk.

        Raises:
            MalscanError: the disk is full, or the folder is gone.
        """
        try:
            with self._lock:
                self._connection.commit()
        except sqlite3.Error as error:
            raise _cannot_write(self.file, error) from None
        self._committed = time.monotonic()

    def close(self) -> None:
        """Let go of the file; what was not committed is given up."""
        with self._lock:
            self._connection.close()


def open_journal(file: Path, *, read_only: bool) -> Journal | None:
    """Open a journal that an earlier run left; None if there is none.

    Args:
        file: where.
        read_only: whether it stays as it is.

    Raises:
        DamagedError: what is there is no journal, or cannot be read.
    """
    if not file.is_file():
        return None
    try:
        return Journal(file, _connect(file, "ro" if read_only else "rw"))
    except (OSError, sqlite3.Error):
        raise DamagedError from None


def remove(file: Path) -> None:
    """Remove a journal with everything that belongs to it."""
    for name in (file.name, f"{file.name}-journal"):
        with suppress(FileNotFoundError):
            file.with_name(name).unlink()


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    # As a URI, because otherwise SQLite would make a file where none is. The lock of the report
    # keeps other runs away; SQLite's own locks are a danger on network drives.
    address = f"{Path(os.path.abspath(file)).as_uri()}?mode={mode}&nolock=1"  # noqa: PTH100
    return sqlite3.connect(address, uri=True, check_same_thread=False)


# Not `astuple`, whose deep copies take longer than everything else that is written of an image.
_cells: Callable[[Entry], tuple[object, ...]] = attrgetter(*(field.name for field in fields(Entry)))


def _checksum(cells: tuple[object, ...]) -> int:
    return zlib.crc32(repr(cells).encode())


def _entry(row: tuple[object, ...]) -> Entry:
    *cells, checksum = row
    try:
        *values, grey = cells
        entry = Entry(*values, bool(grey))  # type: ignore[arg-type, call-arg]
    except TypeError:
        raise DamagedError from None
    if _checksum(_cells(entry)) != checksum:
        raise DamagedError
    return entry


def _cannot_write(file: Path, error: Exception) -> MalscanError:
    reason = getattr(error, "strerror", None) or str(error)
    if detail := getattr(error, "sqlite_errorname", None):
        reason += f" ({detail})"
    return MalscanError(
        f"cannot write the state of this scan, {file}: {reason}. Check that the disk has space and "
        "that the folder is writable. What was computed until then is kept: the same command goes "
        "on from there."
    )
