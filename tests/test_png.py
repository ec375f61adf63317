"""A PNG with anything wrong up to its last row is never decoded, on neither way."""

import struct
import zlib

import numpy as np
import pytest
from damaged.damage_png import chunks_of, joined
from damaged.whole import chunk, encoded
from draw_cells import draw_cell

from malscan.decode import decode
from malscan.picture import UnreadableImageError
from malscan.png import fault_of_png, picture_alone

PLAIN = encoded(draw_cell(np.random.default_rng(1), True, size=40), "PNG")
PALETTE = encoded(draw_cell(np.random.default_rng(1), True, size=40).convert("P"), "PNG")
TEXT = chunk(b"tEXt", b"Comment\0stained")
CLEAR = chunk(b"tRNS", bytes(6))


def with_chunk(added: bytes, data: bytes = PLAIN) -> bytes:
    """The file with a chunk in front of its picture."""
    place = data.index(b"IDAT") - 4
    return data[:place] + added + data[place:]


def with_picture(packed: bytes) -> bytes:
    """The file with another compressed picture."""
    return PLAIN[:33] + chunk(b"IDAT", packed) + PLAIN[-12:]


def spoilt(part: bytes) -> bytes:
    """A chunk with a bit of its checksum flipped."""
    return part[:-1] + bytes([part[-1] ^ 1])


RAW = zlib.decompress(PLAIN[41:-16])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_chunk(spoilt(TEXT)), "the checksum of PNG chunk tEXt is wrong"),
        (PLAIN[:-12] + spoilt(TEXT) + PLAIN[-12:], "the checksum of PNG chunk tEXt is wrong"),
        (with_chunk(spoilt(CLEAR)), "the checksum of PNG chunk tRNS is wrong"),
        (with_chunk(CLEAR + CLEAR), "PNG chunk tRNS comes twice"),
        (with_chunk(chunk(b"tRNS", bytes(5))), "transparency of the PNG does not fit"),
        (with_chunk(chunk(b"tRNS", bytes(257)), PALETTE), "transparency of the PNG does not fit"),
        (PLAIN[:-12] + CLEAR + PLAIN[-12:], "out of order"),
        (with_chunk(chunk(b"PLTE", bytes(4))), "the palette of the PNG does not fit"),
        (with_chunk(chunk(b"PLTE", b"")), "the palette of the PNG does not fit"),
        (joined([c for c in chunks_of(PALETTE) if c[0] != b"PLTE"]), "the palette of the PNG"),
        (with_chunk(chunk(b"EvIl", b"")), "needs chunk EvIl, which is not known"),
        (with_chunk(chunk(b"te t", b"")), "is no name of a PNG chunk"),
        (joined(chunks_of(PLAIN)[1:]), "header is not where it belongs"),
        (joined([chunks_of(PLAIN)[0], chunks_of(PLAIN)[2]]), "the PNG has no picture"),
        (with_picture(zlib.compress(RAW[:-1])), "cannot be decoded"),
        (with_picture(zlib.compress(RAW)[:-1]), "cannot be decoded"),
        (with_picture(spoilt(zlib.compress(RAW))), "cannot be decoded"),
        (with_picture(zlib.compress(b"\x07" + RAW[1:])), "cannot be decoded"),
        (with_picture(b"no zlib"), "cannot be decoded"),
    ],
)
def test_it_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        decode(data)
    assert reason in str(caught.value)


def test_an_interrupted_picture_is_refused() -> None:
    packed = PLAIN[41:-16]
    parts = [chunk(b"IDAT", packed[:50]), TEXT, chunk(b"IDAT", packed[50:])]
    assert "interrupted" in str(fault_of_png(PLAIN[:33] + b"".join(parts) + PLAIN[-12:]))


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(TEXT),
        PLAIN + b"PK\x03\x04",
        with_picture(zlib.compress(RAW + bytes(10**6))),
        with_picture(zlib.compress(RAW) + b"more"),
        PLAIN[:33] + chunk(b"IDAT", PLAIN[41:60]) + chunk(b"IDAT", PLAIN[60:-16]) + PLAIN[-12:],
    ],
    ids=["text", "bytes behind", "rows too many", "stream with more", "two chunks"],
)
def test_what_says_nothing_of_the_picture_is_no_fault(data: bytes) -> None:
    np.testing.assert_array_equal(decode(data).pixels, decode(PLAIN).pixels)


def test_the_picture_alone_keeps_what_decides_about_pixels() -> None:
    rich = with_chunk(TEXT + CLEAR)
    kept = [kind for kind, _ in chunks_of(picture_alone(rich))]
    assert kept == [b"IHDR", b"tRNS", b"IDAT", b"IEND"]
    assert fault_of_png(picture_alone(rich)) is None


@pytest.mark.timeout(20)
def test_a_picture_that_swells_is_unpacked_no_further_than_needed() -> None:
    header = PLAIN[:16] + struct.pack(">II", 1000, 1000) + PLAIN[24:29]
    header = PLAIN[:8] + chunk(b"IHDR", header[16:])
    bomb = chunk(b"IDAT", zlib.compress(bytes(2 * 10**7)))
    with pytest.raises(UnreadableImageError, match="not a single-cell crop"):
        decode(header + bomb + PLAIN[-12:])
    assert fault_of_png(header + bomb + PLAIN[-12:]) is None
