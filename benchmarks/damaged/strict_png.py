"""A strict reading of a PNG: every chunk, every checksum, all of the compressed picture.

Written after the specification (ISO/IEC 15948) with `struct` and `zlib` alone. One liberty of
libpng is taken: what follows the last row that the header speaks of is not looked at.
"""

import struct
import zlib
from itertools import pairwise

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_ONCE = (b"IHDR", b"PLTE", b"tRNS", b"IEND")
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Left, top, step across and step down of each pass.
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)

Chunk = tuple[bytes, bytes]


class _FaultError(Exception):
    """What is wrong."""


def fault_of_png(data: bytes) -> str | None:
    """Why a strict decoder refuses a PNG; None if it has nothing to complain.

    What follows the end chunk belongs to no PNG and is not looked at.
    """
    try:
        chunks = _chunks(data)
        _check_order([kind for kind, _ in chunks])
        held = dict(reversed(chunks))
        width, height, depth, colour, interlaced = _header(held[b"IHDR"])
        _check_palette(held, depth, colour)
        rows = _rows(width, height, depth * _CHANNELS[colour], interlaced)
        _check_picture(b"".join(part for kind, part in chunks if kind == b"IDAT"), rows)
    except _FaultError as fault:
        return str(fault)
    return None


def _chunks(data: bytes) -> list[Chunk]:
    if not data.startswith(SIGNATURE):
        raise _FaultError("no PNG signature")
    chunks: list[Chunk] = []
    place = len(SIGNATURE)
    while not chunks or chunks[-1][0] != b"IEND":
        if place + 12 > len(data):
            raise _FaultError("ends before its end chunk")
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            raise _FaultError("ends inside a chunk")
        if struct.unpack_from(">I", data, end)[0] != zlib.crc32(data[place + 4 : end]):
            raise _FaultError("wrong checksum of a chunk")
        chunks.append((kind, data[place + 8 : end]))
        place = end + 4
    return chunks


def _check_order(kinds: list[bytes]) -> None:
    if kinds[0] != b"IHDR" or b"IDAT" not in kinds:
        raise _FaultError("no header first, or no picture")
    if any(kinds.count(kind) > 1 for kind in _ONCE):
        raise _FaultError("a chunk comes twice")
    if any(kind not in _CRITICAL and not kind[0] & 0x20 for kind in kinds):
        raise _FaultError("an unknown critical chunk")
    if not all(kind.isalpha() and kind.isascii() for kind in kinds):
        raise _FaultError("the name of a chunk is none")
    parts = [number for number, kind in enumerate(kinds) if kind == b"IDAT"]
    if any(after - before > 1 for before, after in pairwise(parts)):
        raise _FaultError("another chunk inside the picture")
    for before, after in ((b"PLTE", b"IDAT"), (b"tRNS", b"IDAT"), (b"PLTE", b"tRNS")):
        if before in kinds and after in kinds and kinds.index(before) > kinds.index(after):
            raise _FaultError("a chunk comes too late")


def _header(held: bytes) -> tuple[int, int, int, int, bool]:
    if len(held) != 13:
        raise _FaultError("a header of another length")
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", held)
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise _FaultError("no size")
    if depth not in _DEPTHS.get(colour, ()) or methods not in ([0, 0, 0], [0, 0, 1]):
        raise _FaultError("a header that no PNG has")
    return width, height, depth, colour, bool(methods[2])


def _check_palette(held: dict[bytes, bytes], depth: int, colour: int) -> None:
    entries, rest = divmod(len(held.get(b"PLTE", b"")), 3)
    if rest or entries > 256 or (b"PLTE" in held and (entries == 0 or colour in (0, 4))):
        raise _FaultError("a palette that is none")
    if colour == 3 and not 0 < entries <= 2**depth:
        raise _FaultError("no palette, or one that is too long")
    clear = held.get(b"tRNS")
    if clear is None:
        return
    fits = {0: len(clear) == 2, 2: len(clear) == 6, 3: 0 < len(clear) <= entries}
    if not fits.get(colour, False):
        raise _FaultError("transparency that does not fit")


def _rows(width: int, height: int, bits: int, interlaced: bool) -> list[tuple[int, int]]:
    """Number of rows, and bytes to a row with its filter, of each pass."""
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [
        (-(-max(height - top, 0) // down), -(-max(width - left, 0) // across))
        for left, top, across, down in passes
    ]
    return [(rows, 1 + -(-columns * bits // 8)) for rows, columns in sizes if rows and columns]


def _check_picture(packed: bytes, rows: list[tuple[int, int]]) -> None:
    """The stream holds the picture and has a right checksum, if it holds no more than that."""
    wanted = sum(count * length for count, length in rows)
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(packed, min(wanted + 1, 2**28))
    except zlib.error as error:
        raise _FaultError(f"zlib: {error}") from None
    if len(raw) < wanted or (len(raw) == wanted and not stream.eof):
        raise _FaultError("less of a picture than the header says")
    place = 0
    for count, length in rows:
        if any(raw[start] > 4 for start in range(place, place + count * length, length)):
            raise _FaultError("an unknown filter")
        place += count * length
