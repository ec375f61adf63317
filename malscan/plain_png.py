"""The fast way for plain PNG: 8-bit RGB in three chunks, as crops of cells are published.

ISA-L inflates two to three times as fast as zlib and checks length and checksum of the picture.
What it found is wrapped as a PNG again, stored instead of compressed, so that libpng in the graph
is left with the filters of the lines. Whatever else was decoded is wrapped alike: the graph sees
nothing but PNG of checked bytes, which cannot fail.
"""

import struct

import numpy as np
from isal import isal_zlib

from malscan.picture import MAX_SIDE, Pixels
from malscan.png import HEADER_BYTES, PNG_START

_DEPTH_8_RGB_NOT_INTERLACED = b"\x08\x02\0\0\0"
_IHDR = b"\0\0\0\x0dIHDR"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_PICTURE = HEADER_BYTES + 8
"""Where the compressed picture begins; its checksum and the end chunk follow it."""
_AFTER = 4 + len(_END)
_LAST_FILTER = 4
_BLOCK = 65535
"""The most bytes of a stored block (RFC 1951, section 3.2.4)."""
_AT_ONCE = 5000
"""Bytes up to which ISA-L keeps Python's lock for a checksum; to get it back takes longer."""


def is_plain(data: bytes) -> bool:
    """Whether the fast way may take a file, judged by its header and its length.

    Args:
        data: the bytes of a file.

    Returns:
        Whether it is a PNG of 8-bit RGB, with sides of at most `MAX_SIDE`, and of three chunks:
        without others there is no transparency, no animation, and no wrong checksum of which
        libpng only warns.
    """
    if not data.startswith(PNG_START + _IHDR) or data[24:29] != _DEPTH_8_RGB_NOT_INTERLACED:
        return False
    if data[HEADER_BYTES + 4 : _PICTURE] != b"IDAT" or not data.endswith(_END):
        return False
    length = int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 4], "big")
    if _PICTURE + length + _AFTER != len(data):
        return False
    width, height = struct.unpack_from(">II", data, 16)
    return bool(0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE)


def inflated(data: bytes) -> bytes | None:
    """The same picture, stored instead of compressed.

    Args:
        data: a file that `is_plain`.

    Returns:
        A PNG of the same pixels that needs no inflating; None if a checksum, the compressed data,
        their length or the kind of a filter is wrong.
    """
    view = memoryview(data)
    for start, end in ((12, HEADER_BYTES), (HEADER_BYTES + 4, len(data) - len(_END))):
        if _checksum(view[start : end - 4]) != view[end - 4 : end]:
            return None
    width, height = struct.unpack_from(">II", data, 16)
    wanted = height * (1 + 3 * width)
    stream = isal_zlib.decompressobj()
    try:
        # One byte more than wanted: only then is the checksum behind the last one looked at.
        lines = stream.decompress(view[_PICTURE : len(data) - _AFTER], wanted + 1)
    except isal_zlib.error:  # type: ignore[misc]  # Its stub names an instance.
        return None
    if len(lines) != wanted or not stream.eof or stream.unused_data:
        return None
    if max(lines[:: 1 + 3 * width]) > _LAST_FILTER:
        return None
    return _stored(data[:HEADER_BYTES], lines, data[-_AFTER - 4 : -_AFTER])


def wrapped(pixels: Pixels) -> bytes:
    """A PNG of pixels that is as quick to write and to read as can be.

    Args:
        pixels: uint8 [height, width, 3].
    """
    height, width, _ = pixels.shape
    lines = np.zeros([height, 1 + 3 * width], np.uint8)
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    header = _IHDR[4:] + struct.pack(">II", width, height) + _DEPTH_8_RGB_NOT_INTERLACED
    start = b"".join((PNG_START, _IHDR[:4], header, _checksum(header)))
    return _stored(start, lines.tobytes(), struct.pack(">I", isal_zlib.adler32(lines)))


def _stored(start: bytes, lines: bytes, checksum: bytes) -> bytes:
    """A PNG whose lines are as they are.

    Args:
        start: signature and header.
        lines: the picture with its filters.
        checksum: Adler-32 of the lines.
    """
    view = memoryview(lines)
    chunk: list[bytes | memoryview] = [b"IDAT\x78\x01"]
    for place in range(0, len(lines), _BLOCK):
        block = view[place : place + _BLOCK]
        last = place + _BLOCK >= len(lines)
        chunk += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    chunk.append(checksum)
    length = sum(map(len, chunk)) - 4
    return b"".join((start, struct.pack(">I", length), *chunk, _checksum(*chunk), _END))


def _checksum(*parts: bytes | memoryview) -> bytes:
    """CRC-32 of parts one after the other."""
    found = 0
    for part in parts:
        for place in range(0, len(part), _AT_ONCE):
            found = isal_zlib.crc32(part[place : place + _AT_ONCE], found)
    return struct.pack(">I", found)
