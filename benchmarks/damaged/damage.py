"""What can happen to any file: bits flip, bytes vanish, copies break off, strangers add things."""

import io
import zipfile
from collections.abc import Callable

import numpy as np

from damaged.whole import Whole

Damage = Callable[[np.random.Generator, Whole], bytes]
"""From an undamaged file to a damaged one."""


def place_in(rng: np.random.Generator, data: bytes, start: int = 0) -> int:
    """Some place in a file."""
    return int(rng.integers(min(start, len(data) - 1), len(data)))


def flipped(rng: np.random.Generator, data: bytes, count: int, start: int = 0) -> bytes:
    """The same bytes with some bits turned over."""
    changed = bytearray(data)
    for _ in range(count):
        changed[place_in(rng, data, start)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _one_bit(rng: np.random.Generator, file: Whole) -> bytes:
    return flipped(rng, file.data, 1)


def _several_bits(rng: np.random.Generator, file: Whole) -> bytes:
    return flipped(rng, file.data, int(rng.integers(2, 30)))


def _header_bits(rng: np.random.Generator, file: Whole) -> bytes:
    return flipped(rng, file.data[:64], int(rng.integers(1, 4))) + file.data[64:]


def _cut(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data[: place_in(rng, file.data)]


def _last_bytes_missing(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data[: -int(rng.integers(1, 13))]


def _cut_and_filled(rng: np.random.Generator, file: Whole) -> bytes:
    """As a file system leaves a file whose last blocks were never written."""
    return _cut(rng, file).ljust(len(file.data), b"\0")


def _hole(rng: np.random.Generator, file: Whole) -> bytes:
    start = place_in(rng, file.data)
    size = int(rng.integers(1, 513))
    return (
        file.data[:start] + bytes(len(file.data[start : start + size])) + file.data[start + size :]
    )


def _bytes_lost(rng: np.random.Generator, file: Whole) -> bytes:
    start = place_in(rng, file.data)
    return file.data[:start] + file.data[start + int(rng.integers(1, 65)) :]


def _bytes_twice(rng: np.random.Generator, file: Whole) -> bytes:
    start = place_in(rng, file.data)
    return file.data[: start + int(rng.integers(1, 65))] + file.data[start:]


def _halves_swapped(rng: np.random.Generator, file: Whole) -> bytes:
    middle = place_in(rng, file.data)
    return file.data[middle:] + file.data[:middle]


def _as_text(rng: np.random.Generator, file: Whole) -> bytes:
    """As a transfer in text mode leaves a binary file."""
    return file.data.replace(b"\n", b"\r\n") if rng.integers(2) else file.data.replace(b"\r", b"")


def _rubbish_behind(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data + rng.bytes(int(rng.integers(1, 2000)))


def _rubbish_before(rng: np.random.Generator, file: Whole) -> bytes:
    return rng.bytes(int(rng.integers(1, 64))) + file.data


def _zip_behind(rng: np.random.Generator, file: Whole) -> bytes:
    """A polyglot: an image that is an archive as well."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../evil.py"), "raise SystemExit")
    return file.data + buffer.getvalue()


def _itself_behind(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data + file.data


def _page_before(rng: np.random.Generator, file: Whole) -> bytes:
    return b"<html><script>alert(1)</script></html>\n" + file.data


def _rubbish(rng: np.random.Generator, file: Whole) -> bytes:
    return rng.bytes(int(rng.integers(0, 4000)))


def _signature_and_rubbish(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data[: int(rng.integers(2, 12))] + rng.bytes(int(rng.integers(0, 4000)))


GENERAL: dict[str, Damage] = {
    "one bit flipped": _one_bit,
    "several bits flipped": _several_bits,
    "bits of the header flipped": _header_bits,
    "cut off": _cut,
    "last bytes missing": _last_bytes_missing,
    "cut off and filled with zeros": _cut_and_filled,
    "a hole of zeros": _hole,
    "bytes lost": _bytes_lost,
    "bytes twice": _bytes_twice,
    "halves swapped": _halves_swapped,
    "sent as text": _as_text,
    "rubbish behind": _rubbish_behind,
    "rubbish before": _rubbish_before,
    "polyglot, zip behind": _zip_behind,
    "polyglot, itself behind": _itself_behind,
    "polyglot, page before": _page_before,
    "rubbish alone": _rubbish,
    "signature and rubbish": _signature_and_rubbish,
}
"""By name, what can be done to any file."""
