"""The fast way for plain PNG: 8-bit RGB in three chunks, as crops of cells are published.

ISA-L inflates two to three times as fast as zlib and checks length and checksum of the picture.
What it found is wrapped as a PNG again, stored instead of compressed, so that libpng in the graph
is left with the filters of the lines, and sees nothing of a file but checked bytes.
"""

import struct

from isal import isal_zlib

from malscan.picture import MAX_PIXELS, MAX_SIDE
from malscan.png import HEADER_BYTES, PNG_START

_DEPTH_8_RGB_NOT_INTERLACED = b"\x08\x02\0\0\0"
_IHDR = b"\0\0\0\x0dIHDR"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_PICTURE = HEADER_BYTES + 8
"""Where the compressed picture begins; its checksum and the end chunk follow it."""
_AFTER = 4 + len(_END)
_BLOCK = 65535
"""The most bytes of a stored block (RFC 1951, section 3.2.4)."""
_AT_ONCE = 5000
"""Bytes up to which ISA-L keeps Python's lock for a checksum; to get it back takes longer."""


def is_plain(data: bytes, any_size: bool) -> bool:
    """Whether the fast way may take a file, judged by its header and its length.

    Args:
        data: the bytes of a file.
        any_size: whether sides over `MAX_SIDE` are accepted.

    Returns:
        Whether it is a PNG of 8-bit RGB, of an accepted size, and of three chunks: without others
        there is no transparency, no animation, and no wrong checksum of which libpng only warns.
    """
    if not data.startswith(PNG_START + _IHDR) or data[24:29] != _DEPTH_8_RGB_NOT_INTERLACED:
        return False
    if data[HEADER_BYTES + 4 : _PICTURE] != b"IDAT" or not data.endswith(_END):
        return False
    length = int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 4], "big")
    if _PICTURE + length + _AFTER != len(data):
        return False
    width, height = struct.unpack_from(">II", data, 16)
    return bool(width * height <= MAX_PIXELS if any_size else max(width, height) <= MAX_SIDE)


def inflated(data: bytes) -> bytes | None:
    """The same picture, stored instead of compressed.

    Args:
        data: a file that `is_plain`.

    Returns:
        A PNG of the same pixels that needs no inflating; None if a checksum, the compressed data
        or their length is wrong. The kinds of the filters have not been looked at.
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
    return data[:HEADER_BYTES] + _stored(lines, data[-_AFTER - 4 : -_AFTER]) + _END


def _stored(lines: bytes, checksum: bytes) -> bytes:
    """The chunk of a picture whose lines are as they are; `checksum` is the Adler-32 of them."""
    parts = [b"IDAT\x78\x01"]
    for start in range(0, len(lines), _BLOCK):
        block = lines[start : start + _BLOCK]
        last = start + _BLOCK >= len(lines)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    chunk = b"".join((*parts, checksum))
    return b"".join((struct.pack(">I", len(chunk) - 4), chunk, _checksum(memoryview(chunk))))


def _checksum(view: memoryview) -> bytes:
    found = 0
    for start in range(0, len(view), _AT_ONCE):
        found = isal_zlib.crc32(view[start : start + _AT_ONCE], found)
    return struct.pack(">I", found)
