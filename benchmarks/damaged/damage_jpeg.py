"""Surgery on JPEG: segments moved and changed, scans cut and closed again."""

from collections.abc import Callable

import numpy as np

from damaged.damage import Damage, flipped, place_in
from damaged.whole import Whole

END = b"\xff\xd9"
_FRAMES = (0xC0, 0xC1, 0xC2)
_SCAN = 0xDA


def segments_of(data: bytes) -> list[bytes]:
    """The segments of an undamaged JPEG up to its first scan, and as the last one all the rest."""
    found, place = [], 2
    while data[place + 1] != _SCAN:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        found.append(data[place:end])
        place = end
    return [*found, data[place:]]


def _surgery(change: Callable[[np.random.Generator, list[bytes]], object]) -> Damage:
    def damage(rng: np.random.Generator, file: Whole) -> bytes:
        segments = segments_of(file.data)
        change(rng, segments)
        return file.data[:2] + b"".join(segments)

    return damage


def _any(rng: np.random.Generator, segments: list[bytes]) -> int:
    return int(rng.integers(len(segments) - 1))


def _drop(rng: np.random.Generator, segments: list[bytes]) -> None:
    del segments[_any(rng, segments)]


def _double(rng: np.random.Generator, segments: list[bytes]) -> None:
    number = _any(rng, segments)
    segments.insert(number, segments[number])


def _swap(rng: np.random.Generator, segments: list[bytes]) -> None:
    one, other = _any(rng, segments), _any(rng, segments)
    segments[one], segments[other] = segments[other], segments[one]


def _length(rng: np.random.Generator, segments: list[bytes]) -> None:
    number = _any(rng, segments)
    held = segments[number]
    segments[number] = held[:2] + int(rng.integers(2**16)).to_bytes(2, "big") + held[4:]


def _frame(change: Callable[[np.random.Generator, bytearray], object]) -> Damage:
    """Let the header of the picture lie."""

    def damage(rng: np.random.Generator, segments: list[bytes]) -> None:
        for number, held in enumerate(segments[:-1]):
            if held[1] in _FRAMES:
                changed = bytearray(held)
                change(rng, changed)
                segments[number] = bytes(changed)

    return _surgery(damage)


def _other_size(rng: np.random.Generator, held: bytearray) -> None:
    held[int(rng.choice([6, 8]))] += int(rng.integers(1, 100))


def _gigantic(rng: np.random.Generator, held: bytearray) -> None:
    held[5:9] = b"\xff\xff\xff\xff"


def _no_size(rng: np.random.Generator, held: bytearray) -> None:
    held[5:7] = b"\0\0"


def _other_kind(rng: np.random.Generator, held: bytearray) -> None:
    held[1] = int(rng.choice([kind for kind in range(0xC0, 0xD0) if kind != held[1]]))


def _other_sampling(rng: np.random.Generator, held: bytearray) -> None:
    held[11] = int(rng.choice([0, 0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x41, 0x44, 0xFF]))


def _other_depth(rng: np.random.Generator, held: bytearray) -> None:
    held[4] = int(rng.choice([0, 4, 12, 16]))


def _scan_cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The file cut somewhere behind the header of its first scan."""
    start = data.index(b"\xff\xda") + 14
    return data[: start + place_in(rng, data[start:-2])].rstrip(b"\xff")


def _closed(rng: np.random.Generator, file: Whole) -> bytes:
    return _scan_cut(file.data, rng) + END


def _closed_with_padding(rng: np.random.Generator, file: Whole) -> bytes:
    return _scan_cut(file.data, rng) + bytes(int(rng.integers(1, 300))) + END


def _closed_under_a_complaint(rng: np.random.Generator, file: Whole) -> bytes:
    """A harmless oddity that decoders complain of first must not hide that the end is missing."""
    data = _closed(rng, file)
    revision = data.find(b"JFIF\0") + 5
    if revision > 5 and rng.integers(2):
        return data[:revision] + b"\x09" + data[revision + 1 :]
    start = data.index(b"\xff\xda")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return data[: end - 3] + bytes(3) + data[end:]


def _padded(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data[:-2] + bytes([int(rng.choice([0, 255]))]) * int(rng.integers(9, 300)) + END


def _stray_before_end(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data[:-2] + rng.bytes(40).replace(b"\xff", b"\0") + b"\1\2" + END


def _marker_within(rng: np.random.Generator, file: Whole) -> bytes:
    start = file.data.index(b"\xff\xda") + 14
    place = start + place_in(rng, file.data[start:-2])
    marker = bytes([0xFF, int(rng.choice([0xC0, 0xD0, 0xD3, 0xD8, 0xDA, 0xDB, 0xE1, 0xFE]))])
    return file.data[:place] + marker + file.data[place:]


def _scan_flipped(rng: np.random.Generator, file: Whole) -> bytes:
    start = file.data.index(b"\xff\xda") + 14
    return file.data[:start] + flipped(rng, file.data[start:-2], int(rng.integers(1, 9))) + END


def _tables_flipped(rng: np.random.Generator, file: Whole) -> bytes:
    start = file.data.index(b"\xff\xda")
    return flipped(rng, file.data[:start], int(rng.integers(1, 4)), start=2) + file.data[start:]


def _no_end(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data[:-2]


def _end_early(rng: np.random.Generator, file: Whole) -> bytes:
    start = file.data.index(b"\xff\xda") + 14
    place = start + place_in(rng, file.data[start:-2])
    return file.data[:place].rstrip(b"\xff") + END + file.data[place:]


def _two_pictures(rng: np.random.Generator, file: Whole) -> bytes:
    return file.data[:-2] + file.data


def _exif_lies(rng: np.random.Generator, file: Whole) -> bytes:
    exif = b"Exif\0\0" + flipped(rng, b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06", 2)
    block = exif + rng.bytes(40)
    return file.data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + file.data[2:]


def _thumbnail(rng: np.random.Generator, file: Whole) -> bytes:
    """Cut, while a block before the picture holds an end marker."""
    block = file.data[:2] + rng.bytes(30).replace(b"\xff", b"\0") + END
    head = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    return (file.data[:2] + head + file.data[2:])[: -int(rng.integers(3, 200))]


SURGERY: dict[str, Damage] = {
    "segment dropped": _surgery(_drop),
    "segment twice": _surgery(_double),
    "segments swapped": _surgery(_swap),
    "segment length wrong": _surgery(_length),
    "header of another size": _frame(_other_size),
    "header gigantic": _frame(_gigantic),
    "header without size": _frame(_no_size),
    "header of another kind": _frame(_other_kind),
    "header of another sampling": _frame(_other_sampling),
    "header of another depth": _frame(_other_depth),
    "cut and closed": _closed,
    "cut, padded and closed": _closed_with_padding,
    "cut and closed under a complaint": _closed_under_a_complaint,
    "padding before the end": _padded,
    "stray bytes before the end": _stray_before_end,
    "marker within the picture": _marker_within,
    "picture flipped": _scan_flipped,
    "tables flipped": _tables_flipped,
    "end marker missing": _no_end,
    "end marker too early": _end_early,
    "two pictures": _two_pictures,
    "EXIF garbled": _exif_lies,
    "cut, with a thumbnail's end": _thumbnail,
}
"""By name, what can be done to a JPEG."""
