"""Surgery on TIFF, BMP, GIF and WebP: headers that lie, pages and frames too many."""

import struct
from collections.abc import Callable

import numpy as np

from damaged.damage import Damage
from damaged.whole import Whole, cell, encoded


def _entries(data: bytes) -> tuple[str, int, int]:
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    return order, start + 2, count


def _tag(tag: int, *values: int) -> Damage:
    """Let a tag of a TIFF lie; a file without it has another of its tags changed."""

    def damage(rng: np.random.Generator, file: Whole) -> bytes:
        data = bytearray(file.data)
        order, start, count = _entries(file.data)
        entry = start + 12 * int(rng.integers(count))
        for number in range(count):
            if struct.unpack_from(f"{order}H", data, start + 12 * number)[0] == tag:
                entry = start + 12 * number
        value = int(rng.choice(values))
        short = struct.unpack_from(f"{order}H", data, entry + 2)[0] == 3
        kind = f"{order}H" if short else f"{order}I"
        struct.pack_into(kind, data, entry + 8, min(value, 2**16 - 1) if short else value)
        return bytes(data)

    return damage


def _tag_count(rng: np.random.Generator, file: Whole) -> bytes:
    data = bytearray(file.data)
    order, start, count = _entries(file.data)
    entry = start + 12 * int(rng.integers(count))
    struct.pack_into(f"{order}I", data, entry + 4, int(rng.choice([0, 2, 1000, 2**32 - 1])))
    return bytes(data)


def _tag_type(rng: np.random.Generator, file: Whole) -> bytes:
    data = bytearray(file.data)
    order, start, count = _entries(file.data)
    entry = start + 12 * int(rng.integers(count))
    struct.pack_into(f"{order}H", data, entry + 2, int(rng.integers(0, 20)))
    return bytes(data)


def _next_page(place: Callable[[int, int], int]) -> Damage:
    """Let the first page name another one as the next."""

    def damage(rng: np.random.Generator, file: Whole) -> bytes:
        data = bytearray(file.data)
        order, start, count = _entries(file.data)
        struct.pack_into(f"{order}I", data, start + 12 * count, place(start - 2, len(data)))
        return bytes(data)

    return damage


def _pages(kind: str) -> Damage:
    def damage(rng: np.random.Generator, file: Whole) -> bytes:
        first = cell(rng)
        # Of another look: writers drop a frame that equals the one before.
        return encoded(
            first, kind, save_all=True, append_images=[first.rotate(90), first.rotate(9)]
        )

    return damage


def _at(place: int, form: str, *values: int) -> Damage:
    """Write a number over a part of a header."""

    def damage(rng: np.random.Generator, file: Whole) -> bytes:
        data = bytearray(file.data)
        struct.pack_into(form, data, place, int(rng.choice(values)))
        return bytes(data)

    return damage


def _script_in_gif(rng: np.random.Generator, file: Whole) -> bytes:
    return b"GIF89a=1;/*" + file.data[11:] + b"*/alert(1)"


TIFF: dict[str, Damage] = {
    "width lies": _tag(256, 0, 1, 7, 300, 2**31),
    "height lies": _tag(257, 0, 1, 7, 300, 2**31),
    "bits lie": _tag(258, 0, 1, 7, 12, 32, 64),
    "compression lies": _tag(259, 2, 3, 4, 5, 6, 7, 8, 32773, 34712, 50000),
    "photometric lies": _tag(262, 0, 1, 3, 5, 6, 8, 32803),
    "strip offset lies": _tag(273, 0, 9, 2**20, 2**32 - 1),
    "strip length lies": _tag(279, 0, 9, 2**20, 2**32 - 1),
    "samples lie": _tag(277, 0, 1, 2, 4, 5, 255),
    "rows lie": _tag(278, 0, 1, 3, 2**31),
    "planes lie": _tag(284, 2, 0, 9),
    "count of values lies": _tag_count,
    "type of values lies": _tag_type,
    "page leads to itself": _next_page(lambda start, size: start),
    "page outside of the file": _next_page(lambda start, size: size + 1000),
    "page in the picture": _next_page(lambda start, size: size // 2),
    "several pages": _pages("TIFF"),
}
BMP: dict[str, Damage] = {
    "size lies": _at(18, "<I", 0, 1, 300, 2**31, 2**32 - 1),
    "height lies": _at(22, "<I", 0, 1, 300, 2**31, 2**32 - 1),
    "bits lie": _at(28, "<H", 0, 1, 3, 4, 8, 16, 32, 64),
    "compression lies": _at(30, "<I", 1, 2, 3, 4, 5, 99),
    "start lies": _at(10, "<I", 0, 20, 2**16, 2**32 - 1),
    "header length lies": _at(14, "<I", 0, 12, 64, 2**32 - 1),
}
GIF: dict[str, Damage] = {
    "screen lies": _at(6, "<H", 0, 1, 300, 65535),
    "several frames": _pages("GIF"),
    "polyglot, script": _script_in_gif,
    "flags lie": _at(10, "<B", 0, 0x70, 0x87, 0xFF),
}
WEBP: dict[str, Damage] = {
    "length lies": _at(4, "<I", 0, 12, 2**16, 2**32 - 1),
    "chunk length lies": _at(16, "<I", 0, 12, 2**16, 2**32 - 1),
    "several frames": _pages("WEBP"),
}
