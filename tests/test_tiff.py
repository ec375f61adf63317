"""TIFF of more than 8 bits a sample comes out with its own intensities."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from malscan.decode import decode
from malscan.picture import UnreadableImageError

Samples = NDArray[np.uint16]

DEEP: Samples = np.random.default_rng(4).integers(0, 65536, (19, 27, 4), dtype=np.uint16)
DEEP[0, :10, 0] = [0, 1, 128, 129, 256, 257, 385, 386, 65406, 65535]
RGB, GREY = 2, 1


def tiff(
    samples: Samples,
    *,
    order: str = "<",
    photometric: int = RGB,
    separate: bool = False,
    deflate: bool = False,
    orientation: int = 1,
    bits: int = 16,
) -> bytes:
    """A TIFF in forms that Pillow does not write; samples are [height, width, channels]."""
    height, width, channels = samples.shape
    planes = np.moveaxis(samples, 2, 0) if separate else [samples]
    strips = [_strip(plane, order, bits) for plane in planes]
    if deflate:
        strips = [zlib.compress(strip) for strip in strips]
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("L", [width]),
        257: ("L", [height]),
        258: ("H", [bits] * channels),
        259: ("H", [8 if deflate else 1]),
        262: ("H", [photometric]),
        273: ("L", [0] * len(strips)),
        274: ("H", [orientation]),
        277: ("H", [channels]),
        278: ("L", [height]),
        279: ("L", [len(strip) for strip in strips]),
        284: ("H", [2 if separate else 1]),
        **({338: ("H", [2])} if channels == 4 else {}),
    }
    return _laid_out(tags, strips, order)


def _strip(plane: NDArray[Any], order: str, bits: int) -> bytes:
    if bits == 16:
        return plane.astype(f"{order}u2").tobytes()
    rows = []
    for row in plane.reshape(plane.shape[0], -1):
        text = "".join(f"{value:012b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return b"".join(rows)


def _laid_out(tags: dict[int, tuple[str, list[int]]], strips: list[bytes], order: str) -> bytes:
    size = 8 + 2 + 12 * len(tags) + 4
    values = {tag: struct.pack(f"{order}{len(v)}{kind}", *v) for tag, (kind, v) in tags.items()}
    extra = sum(len(value) for value in values.values() if len(value) > 4)
    starts = [size + extra + sum(map(len, strips[:n])) for n in range(len(strips))]
    values[273] = struct.pack(f"{order}{len(starts)}L", *starts)
    entries, behind = b"", b""
    for tag, (kind, held) in tags.items():
        value = values[tag]
        if len(value) > 4:
            value, behind = struct.pack(f"{order}L", size + len(behind)), behind + value
        entries += struct.pack(f"{order}HHL", tag, 3 if kind == "H" else 4, len(held))
        entries += value.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, 8)
    return (
        head + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + behind + b"".join(strips)
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", [{}, {"separate": True}, {"deflate": True}], ids=str)
def test_16_bit_colours_are_divided_by_257_and_rounded(order: str, form: dict[str, Any]) -> None:
    decoded = decode(tiff(DEEP[:, :, :3], order=order, **form))
    np.testing.assert_array_equal(decoded.pixels, np.rint(DEEP[:, :, :3] / 257.0))
    assert not decoded.grey


def test_16_bit_colours_of_compressed_planes_are_right_to_one_step() -> None:
    # Pillow gives the high byte of each of them only.
    decoded = decode(tiff(DEEP[:, :, :3], separate=True, deflate=True))
    np.testing.assert_allclose(decoded.pixels, np.rint(DEEP[:, :, :3] / 257.0), atol=1)


def test_a_16_bit_tiff_with_alpha_is_laid_on_black() -> None:
    eight = np.rint(DEEP / 257.0)
    laid = np.rint(eight[:, :, :3] * eight[:, :, 3:] / 255)
    np.testing.assert_allclose(decode(tiff(DEEP)).pixels, laid, atol=1)


def test_a_16_bit_tiff_is_turned_upright() -> None:
    decoded = decode(tiff(DEEP[:, :, :3], orientation=6))
    expected = np.rot90(np.rint(DEEP[:, :, :3] / 257.0), -1)
    np.testing.assert_array_equal(decoded.pixels, expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
def test_16_bit_grey_is_divided_by_257_and_rounded(order: str, deflate: bool) -> None:
    grey = DEEP[:, :, :1]
    decoded = decode(tiff(grey, order=order, photometric=GREY, deflate=deflate))
    np.testing.assert_array_equal(decoded.pixels, np.repeat(np.rint(grey / 257.0), 3, axis=2))
    assert decoded.grey


def test_16_bit_grey_may_count_from_white_to_black() -> None:
    grey = DEEP[:, :, :1]
    decoded = decode(tiff(grey, photometric=0))
    expected = np.repeat(np.rint((65535 - grey) / 257.0), 3, axis=2)
    np.testing.assert_array_equal(decoded.pixels, expected)


def test_12_bit_grey_reaches_from_black_to_white() -> None:
    grey = DEEP[:, :, :1] >> 4
    assert (grey.min(), grey.max()) == (0, 4095)
    decoded = decode(tiff(grey.astype(np.uint16), photometric=GREY, bits=12))
    np.testing.assert_allclose(decoded.pixels[:, :, :1], grey * (255 / 4095), atol=0.51)


@pytest.mark.parametrize("eighths", range(8))
@pytest.mark.parametrize("form", [{}, {"separate": True}, {"deflate": True}], ids=str)
def test_a_cut_16_bit_tiff_is_refused(form: dict[str, Any], eighths: int) -> None:
    data = tiff(DEEP[:, :, :3], **form)
    with pytest.raises(UnreadableImageError, match=r"truncated|damaged|empty"):
        decode(data[: len(data) * eighths // 8])
    with pytest.raises(UnreadableImageError, match=r"truncated|damaged"):
        decode(data[:-1])


def test_pixels_of_an_unknown_kind_are_named_as_a_possible_reason() -> None:
    with pytest.raises(UnreadableImageError, match="unknown kind"):
        decode(tiff(DEEP[:, :, :3], photometric=9))


def changed(tag: int, value: int, **form: Any) -> bytes:
    """A TIFF with another value in one of its tags."""
    data = bytearray(tiff(DEEP[:, :, :3], **form))
    for place in range(10, 10 + 12 * data[8], 12):
        if struct.unpack_from("<H", data, place)[0] == tag:
            kind = "<H" if struct.unpack_from("<H", data, place + 2)[0] == 3 else "<L"
            struct.pack_into(kind, data, place + 8, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        *((273, 10**6), (279, 0), (279, 9), (279, 10**6), (278, 1), (278, 0), (257, 18000)),
        *((284, 2), (258, 9)),
    ],
)
def test_tags_that_contradict_each_other_are_refused(tag: int, value: int) -> None:
    decode(tiff(DEEP[:, :, :3]))
    with pytest.raises(UnreadableImageError):
        decode(changed(tag, value), any_size=True)


@pytest.mark.filterwarnings("ignore:Tag data larger")
@pytest.mark.parametrize(("place", "value"), [(4, 0), (4, 2**32 - 1), (2, 12)])
@pytest.mark.parametrize("tag", [257, 258, 259, 277, 279])
def test_decisive_tags_without_values_or_with_fractions_are_refused(
    tag: int, place: int, value: int
) -> None:
    data = bytearray(tiff(DEEP[:, :, :3]))
    for entry in range(10, 10 + 12 * data[8], 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<L" if place == 4 else "<H", data, entry + place, value)
    with pytest.raises(UnreadableImageError):
        decode(bytes(data))


def test_a_compressed_strip_must_hold_its_checksum_and_no_more_than_the_header_says() -> None:
    decode(tiff(DEEP[:, :, :3], deflate=True))
    with pytest.raises(UnreadableImageError, match="not whole"):
        decode(changed(257, 5, deflate=True))
    data = tiff(DEEP[:, :, :3], deflate=True)
    with pytest.raises(UnreadableImageError, match="not whole"):
        decode(data[:-1] + bytes([data[-1] ^ 1]))
