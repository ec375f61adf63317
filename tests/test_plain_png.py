"""The fast way for PNG takes nothing that the careful way refuses, and gives the same pixels."""

import struct
import zlib

import numpy as np
import pytest
from damaged.whole import chunk, encoded
from draw_cells import draw_cell
from fast_way import on_the_fast_way
from hypothesis import given
from hypothesis import strategies as st

from malscan.decode import decode
from malscan.picture import UnreadableImageError
from malscan.plain_png import is_plain
from malscan.png import PNG_START, fault_of_png

CELL = draw_cell(np.random.default_rng(1), True, size=40)
PLAIN = encoded(CELL, "PNG")
PACKED = PLAIN[41:-16]
LINES = zlib.decompress(PACKED)
LINE = 1 + 3 * CELL.width


def with_picture(packed: bytes) -> bytes:
    """The file with another compressed picture, and the right checksum of its chunk."""
    return PLAIN[:33] + chunk(b"IDAT", packed) + PLAIN[-12:]


def test_the_pixels_are_those_of_another_decoder() -> None:
    np.testing.assert_array_equal(on_the_fast_way(PLAIN), np.asarray(CELL))


@pytest.mark.parametrize("kind", range(5))
def test_each_kind_of_filter_is_undone(kind: int) -> None:
    # Any bytes are a picture, whatever the kind of their filter.
    lines = b"".join(bytes([kind]) + LINES[1:LINE] for _ in range(CELL.height))
    data = with_picture(zlib.compress(lines))
    np.testing.assert_array_equal(on_the_fast_way(data), decode(data).pixels)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (512, 512), (3, 512), (147, 148)])
def test_pictures_of_one_and_of_many_stored_blocks_come_through(width: int, height: int) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 4, (height, width, 3), np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = PNG_START + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(on_the_fast_way(data), pixels)


FLIPPED = PACKED[:-1] + bytes([PACKED[-1] ^ 1])


@pytest.mark.parametrize(
    "data",
    [
        with_picture(FLIPPED),
        with_picture(PACKED[:-1]),
        with_picture(PACKED[:-4]),
        with_picture(PACKED[: len(PACKED) // 2]),
        with_picture(b""),
        with_picture(zlib.compress(LINES[:-1])),
        with_picture(b"\x78\x9c\x07"),
        with_picture(b"\x79" + PACKED[1:]),
        with_picture(zlib.compress(b"\x05" + LINES[1:])),
        PLAIN[:-16] + bytes([PLAIN[-16] ^ 1]) + PLAIN[-15:],
        PLAIN[:20] + bytes([PLAIN[20] ^ 1]) + PLAIN[21:],
        PLAIN[:29] + bytes([PLAIN[29] ^ 1]) + PLAIN[30:],
        PLAIN[:60] + bytes([PLAIN[60] ^ 1]) + PLAIN[61:],
    ],
    ids=[
        *("checksum of the picture", "checksum cut", "no checksum", "half", "nothing"),
        *("a byte too few", "unknown block", "header of the stream", "unknown filter"),
        *("checksum of the chunk", "height", "checksum of the header", "a bit of the data"),
    ],
)
def test_what_is_wrong_is_left_to_the_careful_way_which_refuses_it(data: bytes) -> None:
    assert on_the_fast_way(data) is None
    with pytest.raises(UnreadableImageError):
        decode(data)


@pytest.mark.parametrize("more", [b"\0", LINES * 1000], ids=["a byte", "a bomb"])
def test_more_than_the_picture_is_left_to_the_careful_way(more: bytes) -> None:
    data = with_picture(zlib.compress(LINES + more))
    assert on_the_fast_way(data) is None
    np.testing.assert_array_equal(decode(data).pixels, np.asarray(CELL))


@pytest.mark.parametrize("place", [26, 27, 28], ids=["compression", "filter", "interlace"])
def test_a_header_of_another_method_is_not_plain(place: int) -> None:
    header = PLAIN[16:place] + b"\1" + PLAIN[place + 1 : 29]
    assert not is_plain(PLAIN[:8] + chunk(b"IHDR", header) + PLAIN[33:])


@given(st.integers(0, len(PACKED) - 1), st.integers(0, 7), st.integers(0, 7))
def test_a_flipped_bit_under_a_right_checksum_never_gives_pixels(
    place: int, bit: int, level: int
) -> None:
    packed = bytearray(zlib.compress(LINES, level))
    place %= len(packed)
    packed[place] ^= 1 << bit
    data = with_picture(bytes(packed))
    found = on_the_fast_way(data)
    if found is not None:
        # The level in the header of the stream says nothing; no bit that matters was flipped.
        assert fault_of_png(data) is None
        np.testing.assert_array_equal(found, np.asarray(CELL))
