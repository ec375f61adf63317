"""Whether a PNG is whole: its chunks, their checksums, and its compressed picture to the last row.

libpng, as TensorFlow uses it, refuses wrong checksums of the picture itself, but only warns about
those of other chunks, such as the one that says what is transparent. What follows the last row, or
the end, is no part of the picture and looked at by neither.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

PNG_START = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 33
"""Of the signature and the first chunk, which holds size and kind of the picture."""

_KNOWN = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_OF_PIXELS = _KNOWN | {b"tRNS"}
_ONCE = (b"IHDR", b"PLTE", b"tRNS")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_CLEAR_BYTES = {0: 2, 2: 6}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
_INTERLACED = (*_PASSES, (0, 1, 1, 2))
"""Left, top, step across and step down of each pass (PNG, section 8.2)."""
_BLOCK = 1 << 16

_BAD_PICTURE = "damaged: the PNG data cannot be decoded"


class _FaultError(Exception):
    """Why a PNG is refused."""


def fault_of_png(data: bytes) -> str | None:
    """Why a PNG must not be trusted; None if it is whole. Bytes after its end are no fault.

    Args:
        data: the bytes of a file that begins like a PNG and holds at least `HEADER_BYTES`.
    """
    try:
        chunks = [(kind, whole[8:-4]) for kind, whole in _chunks(data)]
        _check_kinds([kind for kind, _ in chunks])
        header = data[16:29]
        parts = (held for kind, held in chunks if kind == b"IDAT")
        _check_colours(dict(chunks), header)
        _check_stream(parts, _unpacked_bytes(header))
    except _FaultError as fault:
        return str(fault)
    return None


def picture_alone(data: bytes) -> bytes:
    """A PNG without the chunks that say nothing of its pixels, such as texts and profiles.

    Decoders unpack those, too, and refuse a whole picture for a text that is too long.

    Args:
        data: a PNG without fault.
    """
    return PNG_START + b"".join(whole for kind, whole in _chunks(data) if kind in _OF_PIXELS)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and bytes of each chunk up to the end chunk, once its checksum is found right."""
    offset, view = len(PNG_START), memoryview(data)
    while offset + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        end = offset + 8 + length
        name = kind.decode("ascii", "backslashreplace")
        if end + 4 > len(data):
            raise _FaultError(f"truncated: the file ends inside PNG chunk {name}")
        if zlib.crc32(view[offset + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise _FaultError(f"damaged: the checksum of PNG chunk {name} is wrong")
        if len(name) > 4 or not name.isalpha():
            raise _FaultError(f"damaged: {name} is no name of a PNG chunk")
        yield kind, view[offset : end + 4]
        if kind == b"IEND":
            return
        offset = end + 4
    raise _FaultError("truncated: the PNG has no end")


def _check_kinds(kinds: list[bytes]) -> None:
    """Every chunk that decides about pixels comes once and in its place."""
    if b"IDAT" not in kinds:
        raise _FaultError("damaged: the PNG has no picture")
    for kind in _ONCE:
        if kinds.count(kind) > 1:
            raise _FaultError(f"damaged: PNG chunk {kind.decode()} comes twice")
    first = kinds.index(b"IDAT")
    if any(kind in kinds[first:] for kind in _ONCE) or b"PLTE" in kinds[_place(kinds, b"tRNS") :]:
        raise _FaultError("damaged: the PNG chunks are out of order")
    if kinds[first : first + kinds.count(b"IDAT")] != [b"IDAT"] * kinds.count(b"IDAT"):
        raise _FaultError("damaged: the PNG picture is interrupted")
    for kind in kinds:
        if kind[:1].isupper() and kind not in _KNOWN:
            raise _FaultError(f"damaged: the PNG needs chunk {kind.decode()}, which is not known")


def _place(kinds: list[bytes], kind: bytes) -> int:
    return kinds.index(kind) if kind in kinds else len(kinds)


def _check_colours(chunks: dict[bytes, memoryview], header: bytes) -> None:
    colour, clear = header[9], chunks.get(b"tRNS")
    palette = chunks.get(b"PLTE")
    colours, rest = divmod(len(palette or b""), 3)
    most = {0: 0, 4: 0, 3: min(256, 2 ** header[8])}.get(colour, 256)
    if rest or colours > most or (not colours and (colour == 3 or palette is not None)):
        raise _FaultError("damaged: the palette of the PNG does not fit")
    if clear is not None and not (
        1 <= len(clear) <= colours if colour == 3 else len(clear) == _CLEAR_BYTES.get(colour)
    ):
        raise _FaultError("damaged: the transparency of the PNG does not fit")


def _unpacked_bytes(header: bytes) -> int:
    """How many bytes the picture has unpacked, filters included."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if colour not in _CHANNELS or interlaced > 1:
        raise _FaultError("damaged: the PNG header is garbled")
    total = 0
    for left, top, across, down in _INTERLACED if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * _CHANNELS[colour] * depth // 8))
    return total


def _check_stream(parts: Iterable[memoryview], wanted: int) -> None:
    """Unpack the picture a block at a time: it may be large, and only its length matters."""
    stream, found = zlib.decompressobj(), 0
    for part in parts:
        for block in _unpacked(stream, part):
            found += len(block)
            if found > wanted:
                return
    if found < wanted or not stream.eof:
        raise _FaultError(_BAD_PICTURE)


def _unpacked(stream: "zlib._Decompress", part: memoryview) -> Iterator[bytes]:
    try:
        block = stream.decompress(part, _BLOCK)
        while block:
            yield block
            block = stream.decompress(stream.unconsumed_tail, _BLOCK)
    except zlib.error:
        raise _FaultError(_BAD_PICTURE) from None
