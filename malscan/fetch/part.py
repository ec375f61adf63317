"""A download under way: the bytes so far, and what they are the beginning of."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from malscan.atomic import write_atomically
from malscan.fetch.disk import writing


@dataclass(frozen=True, slots=True)
class Origin:
    """Which version of which remote file some bytes come from.

    Attributes:
        url: address, without credentials.
        validator: strong ETag or date that the server gave the version; None without one.
        total: size of the whole file; None where the server did not tell.
    """

    url: str
    validator: str | None
    total: int | None


class Part:
    """`NAME.part` and the record `.NAME.json`; both outlive the process.

    Once the download has its final name, the record marks it as one of our own that is still in
    use. Every method that writes raises `MalscanError` where it cannot.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._record = target.with_name(f".{target.name}.json")

    def origin(self) -> Origin | None:
        """Where the bytes come from; None if there are none, or nobody knows."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            url, validator, total = record["url"], record["validator"], record["total"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        fits = isinstance(url, str) and isinstance(validator, str | None)
        return Origin(url, validator, total) if fits and isinstance(total, int | None) else None

    def size(self) -> int:
        """How many bytes there are to go on from."""
        origin = self.origin()
        if origin is None or not self.path.is_file():
            return 0
        size = self.path.stat().st_size
        return size if origin.total is None or size <= origin.total else 0

    def is_complete(self) -> bool:
        """Whether all bytes are there."""
        origin = self.origin()
        return origin is not None and self.path.is_file() and self.size() == origin.total

    def begin(self, origin: Origin) -> None:
        """Start with no bytes."""
        # Emptied first: bytes must never stand beside the record of another version.
        with writing(self.path):
            self.path.write_bytes(b"")
        self.record(origin)

    def record(self, origin: Origin) -> None:
        """Remember where the bytes come from."""
        write_atomically(self._record, json.dumps(asdict(origin)) + "\n")

    def open(self) -> BinaryIO:
        """Open the bytes to append to."""
        with writing(self.path):
            return self.path.open("ab")

    def append(self, file: BinaryIO, block: bytes, needed: int | None) -> None:
        """Hand a block to the system, where it is safe if this process dies.

        Args:
            file: from `open`.
            block: the next bytes.
            needed: bytes that the whole work needs, for the message where the disk is full.
        """
        with writing(self.path, needed):
            file.write(block)
            file.flush()

    def finish(self) -> None:
        """Give the complete bytes their final name."""
        with writing(self.target):
            self.path.replace(self.target)

    def set_aside(self) -> Path:
        """Keep what has the final name for inspection, under a name that nothing else reads."""
        names = (f"{self.target.name}.mismatch{number}" for number in _numbers())
        aside = next(
            place for place in map(self.target.with_name, names) if not os.path.lexists(place)
        )
        with writing(aside):
            self.target.replace(aside)
        self.release()
        return aside

    def release(self) -> None:
        """Forget that the download is ours, so that it is never cleared away."""
        with writing(self.target):
            self._record.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove download and record if the download is ours; the record goes last."""
        if self.origin() is not None:
            with writing(self.target):
                self.path.unlink(missing_ok=True)
                self.target.unlink(missing_ok=True)
                self._record.unlink(missing_ok=True)


def _numbers() -> Iterator[str]:
    """Ends of names, so that nothing is written over that was set aside before."""
    yield ""
    yield from (f".{number}" for number in count(2))
