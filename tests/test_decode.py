"""Tests of the decoder: which pixels come out of which bytes, and which bytes are refused."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from draw_cells import draw_cell
from fast_way import on_the_fast_way
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from malscan.decode import decode
from malscan.picture import MAX_SIDE, UnreadableImageError
from malscan.plain_png import is_plain

Pixels = NDArray[np.uint8]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
ADAM7 += [(0, 1, 1, 2)]

NOISE: Pixels = np.random.default_rng(3).integers(0, 256, (19, 27, 3), dtype=np.uint8)
DEEP: NDArray[np.uint16] = np.random.default_rng(4).integers(0, 65536, (19, 27, 4), dtype=np.uint16)
DEEP[0, :10, 0] = [0, 1, 128, 129, 256, 257, 385, 386, 65406, 65535]


def picture(pixels: Pixels = NOISE) -> Image.Image:
    return Image.fromarray(pixels)


def cell() -> Image.Image:
    return draw_cell(np.random.default_rng(1), True, size=80)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pages(kind: str, count: int = 2) -> bytes:
    """Several different frames or pages in one file."""
    frames = [picture(NOISE[::-1]), picture(NOISE[:, ::-1]), picture(NOISE // 2)]
    return encoded(picture(), kind, save_all=True, append_images=frames[: count - 1])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    samples: NDArray[Any], colour: int, *, extra: bytes = b"", interlaced: bool = False
) -> bytes:
    """Write a PNG in a form that Pillow cannot write; samples are [height, width, channels]."""
    height, width, _ = samples.shape
    deep = samples.dtype == np.uint16
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    raw = b""
    for left, top, across, down in passes:
        part = samples[top::down, left::across].astype(">u2" if deep else "u1")
        raw += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    header = struct.pack(">IIBBBBB", width, height, 16 if deep else 8, colour, 0, 0, interlaced)
    image = chunk(b"IDAT", zlib.compress(raw))
    return PNG_MAGIC + chunk(b"IHDR", header) + extra + image + chunk(b"IEND", b"")


def png_with_header(width: int, height: int) -> bytes:
    """A small PNG whose header claims another size."""
    data = encoded(cell(), "PNG")
    fields = struct.pack(">II", width, height) + data[24:29]
    return data[:8] + chunk(b"IHDR", fields) + data[33:]


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010E] = "a cell"
    return tags


def exif_with_place(orientation: int) -> Image.Exif:
    tags = exif(orientation)
    tags[0x8825] = {1: "N"}
    return tags


def on_black(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Pixels:
    laid: Pixels = np.rint(colour * (alpha / 255.0)).astype(np.uint8)
    return laid


def refusal(data: bytes, *, any_size: bool = False) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(data, any_size=any_size)
    return str(caught.value)


WHOLE = {
    "PNG": encoded(cell(), "PNG"),
    "JPEG": encoded(cell(), "JPEG"),
    "TIFF": encoded(cell(), "TIFF"),
    "WEBP": encoded(cell(), "WEBP"),
    "BMP": encoded(cell(), "BMP"),
    "GIF": encoded(cell(), "GIF"),
}
SMALL = {
    "PNG": encoded(picture(), "PNG"),
    "palette PNG": encoded(picture().convert("P"), "PNG"),
    "16-bit PNG": png(DEEP, RGBA),
    "JPEG": encoded(picture(), "JPEG"),
    "progressive JPEG": encoded(picture(), "JPEG", progressive=True),
    "JPEG with EXIF": encoded(picture(), "JPEG", exif=exif_with_place(6)),
    "TIFF": encoded(picture(), "TIFF"),
    "16-bit TIFF": encoded(Image.fromarray(DEEP[:, :, 0]), "TIFF"),
    "LZW TIFF": encoded(picture(), "TIFF", compression="tiff_lzw"),
    "JPEG TIFF": encoded(picture(), "TIFF", compression="jpeg"),
    "TIFF of two pages": pages("TIFF"),
    "WEBP": encoded(picture(), "WEBP", exif=exif(6)),
    "BMP": encoded(picture(), "BMP"),
    "GIF": encoded(picture(), "GIF"),
    "animated GIF": pages("GIF", 3),
}


# PNG


def test_an_rgb_png_gives_its_pixels() -> None:
    decoded = decode(encoded(picture(), "PNG"))
    np.testing.assert_array_equal(decoded.pixels, NOISE)
    assert decoded.pixels.dtype == np.uint8
    assert not decoded.grey


def test_transparent_pixels_of_an_rgba_png_are_laid_on_black() -> None:
    rgba = (DEEP >> 8).astype(np.uint8)
    rgba[0, :3, 3] = [0, 255, 128]
    expected = on_black(rgba[:, :, :3], rgba[:, :, 3:])
    decoded = decode(encoded(Image.fromarray(rgba, "RGBA"), "PNG"))
    np.testing.assert_array_equal(decoded.pixels, expected)
    np.testing.assert_array_equal(decoded.pixels[0, 0], [0, 0, 0])


def test_an_opaque_rgba_png_gives_its_colours() -> None:
    image = picture()
    image.putalpha(255)
    np.testing.assert_array_equal(decode(encoded(image, "PNG")).pixels, NOISE)


def test_a_grey_png_gives_three_equal_channels_and_is_called_grey() -> None:
    decoded = decode(encoded(Image.fromarray(NOISE[:, :, 0]), "PNG"))
    np.testing.assert_array_equal(decoded.pixels, np.repeat(NOISE[:, :, :1], 3, axis=2))
    assert decoded.grey


def test_a_grey_png_with_alpha_is_laid_on_black_and_is_called_grey() -> None:
    decoded = decode(png(NOISE[:, :, :2], GREY_ALPHA))
    expected = on_black(NOISE[:, :, :1], NOISE[:, :, 1:2])
    np.testing.assert_array_equal(decoded.pixels, np.repeat(expected, 3, axis=2))
    assert decoded.grey


def test_a_black_and_white_png_gives_black_and_white() -> None:
    mask = NOISE[:, :, 0] > 127
    decoded = decode(encoded(Image.fromarray(mask), "PNG"))
    expected = np.where(mask, 255, 0)
    np.testing.assert_array_equal(decoded.pixels, np.stack([expected] * 3, axis=2))
    assert decoded.grey


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_grey_png_of_few_bits_reaches_from_black_to_white(bits: int) -> None:
    levels = np.arange(2**bits, dtype=np.uint8)
    packed = np.packbits(np.unpackbits(levels[:, None], axis=1)[:, -bits:])
    header = struct.pack(">IIBBBBB", len(levels), 1, bits, GREY, 0, 0, 0)
    image = chunk(b"IDAT", zlib.compress(b"\0" + packed.tobytes()))
    data = PNG_MAGIC + chunk(b"IHDR", header) + image + chunk(b"IEND", b"")
    decoded = decode(data)
    expected = np.rint(np.linspace(0, 255, 2**bits))
    np.testing.assert_array_equal(decoded.pixels[0], np.stack([expected] * 3, axis=1))
    assert decoded.grey


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_png_gives_the_colours_of_its_palette(bits: int) -> None:
    image = picture().quantize(2**bits)
    data = encoded(image, "PNG", bits=bits)
    assert data[24:26] == bytes([bits, 3])
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, image.convert("RGB"))
    assert not decoded.grey


def test_a_transparent_palette_entry_becomes_black() -> None:
    image = picture().quantize(16)
    see_through = np.asarray(image) == 5
    expected = np.asarray(image.convert("RGB")).copy()
    expected[see_through] = 0
    assert 0 < see_through.sum() < see_through.size
    decoded = decode(encoded(image, "PNG", transparency=5))
    np.testing.assert_array_equal(decoded.pixels, expected)


def test_a_transparent_colour_of_an_rgb_png_becomes_black() -> None:
    pixels = NOISE.copy()
    pixels[:5] = (10, 200, 30)
    expected = pixels.copy()
    expected[:5] = 0
    data = png(pixels, RGB, extra=chunk(b"tRNS", struct.pack(">HHH", 10, 200, 30)))
    np.testing.assert_array_equal(decode(data).pixels, expected)


def test_16_bit_colours_of_a_png_are_divided_by_257_and_rounded() -> None:
    decoded = decode(png(DEEP[:, :, :3], RGB))
    np.testing.assert_array_equal(decoded.pixels, np.rint(DEEP[:, :, :3] / 257.0))
    assert not decoded.grey


def test_16_bit_grey_of_a_png_is_divided_by_257_and_rounded() -> None:
    decoded = decode(png(DEEP[:, :, :1], GREY))
    expected = np.repeat(np.rint(DEEP[:, :, :1] / 257.0), 3, axis=2)
    np.testing.assert_array_equal(decoded.pixels, expected)
    np.testing.assert_array_equal(decoded.pixels[0, :10, 0], [0, 0, 0, 1, 1, 1, 1, 2, 254, 255])
    assert decoded.grey


def test_a_16_bit_png_with_alpha_is_laid_on_black() -> None:
    exact = DEEP[:, :, :3] / 257.0 * (DEEP[:, :, 3:] / 65535.0)
    np.testing.assert_allclose(decode(png(DEEP, RGBA)).pixels, exact, atol=1.5)


@pytest.mark.parametrize("samples", [NOISE, DEEP[:, :, :3]], ids=["8 bit", "16 bit"])
def test_an_interlaced_png_gives_the_pixels_of_a_plain_one(samples: NDArray[Any]) -> None:
    plain, interlaced = png(samples, RGB), png(samples, RGB, interlaced=True)
    assert interlaced != plain
    np.testing.assert_array_equal(decode(interlaced).pixels, decode(plain).pixels)


@pytest.mark.parametrize("samples", [NOISE[:, :, :1], DEEP[:, :, :1]], ids=["8 bit", "16 bit"])
def test_a_transparent_grey_of_a_png_becomes_black(samples: NDArray[Any]) -> None:
    samples = samples.copy()
    samples[:5] = 200
    data = png(samples, GREY, extra=chunk(b"tRNS", struct.pack(">H", 200)))
    expected = samples / (257.0 if samples.dtype == np.uint16 else 1.0)
    expected[samples == 200] = 0
    np.testing.assert_array_equal(decode(data).pixels, np.repeat(np.rint(expected), 3, axis=2))


# JPEG


def test_a_jpeg_gives_the_pixels_that_pillow_reads() -> None:
    data = encoded(cell(), "JPEG", quality=80)
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, Image.open(io.BytesIO(data)))
    assert not decoded.grey


def test_a_progressive_jpeg_gives_the_pixels_of_a_plain_one() -> None:
    plain, progressive = (encoded(cell(), "JPEG", progressive=p) for p in (False, True))
    assert plain != progressive
    np.testing.assert_array_equal(decode(progressive).pixels, decode(plain).pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"lossless": True}), ("TIFF", {})]
)
def test_an_image_with_an_exif_orientation_is_turned_upright(
    kind: str, options: dict[str, Any], orientation: int
) -> None:
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :24], stored[:16, 24:], stored[16:, :24] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    decoded = decode(encoded(picture(stored), kind, exif=exif(orientation), **options))
    assert decoded.pixels.shape == upright.shape
    corners = np.ix_([8, -8], [8, -8])
    np.testing.assert_allclose(decoded.pixels[corners], upright[corners], atol=6)


def test_a_cmyk_jpeg_gives_the_colours_that_it_shows() -> None:
    image = Image.new("RGB", (40, 30), (200, 100, 50)).convert("CMYK")
    decoded = decode(encoded(image, "JPEG", quality=95))
    np.testing.assert_allclose(decoded.pixels, np.full((30, 40, 3), (200, 100, 50)), atol=6)
    assert not decoded.grey


def test_a_grey_jpeg_is_called_grey() -> None:
    data = encoded(cell().convert("L"), "JPEG")
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, Image.open(io.BytesIO(data)).convert("RGB"))
    assert decoded.grey


# Other formats


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_an_8_bit_tiff_gives_its_pixels(compression: str | None) -> None:
    decoded = decode(encoded(picture(), "TIFF", compression=compression))
    np.testing.assert_array_equal(decoded.pixels, NOISE)
    assert not decoded.grey


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_grey_of_a_tiff_is_divided_by_257_and_rounded(order: str) -> None:
    grey = DEEP[:, :, 0]
    image = Image.fromarray(grey.astype(order))
    data = encoded(image, "TIFF")
    assert data.startswith(b"II" if order == "<u2" else b"MM")
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, np.stack([np.rint(grey / 257.0)] * 3, axis=2))
    assert decoded.grey


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_transparent_pixels_of_other_formats_are_laid_on_black(kind: str) -> None:
    rgba = (DEEP >> 8).astype(np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode(encoded(Image.fromarray(rgba, "RGBA"), kind, **options))
    np.testing.assert_array_equal(decoded.pixels, on_black(rgba[:, :, :3], rgba[:, :, 3:]))


def test_a_webp_gives_its_pixels() -> None:
    np.testing.assert_array_equal(decode(encoded(picture(), "WEBP", lossless=True)).pixels, NOISE)
    lossy = decode(encoded(cell(), "WEBP", quality=95)).pixels
    assert np.abs(lossy.astype(int) - np.asarray(cell())).mean() < 5


def test_a_bmp_gives_its_pixels() -> None:
    np.testing.assert_array_equal(decode(encoded(picture(), "BMP")).pixels, NOISE)


def test_a_gif_with_one_frame_gives_its_pixels() -> None:
    image = picture().quantize(64)
    np.testing.assert_array_equal(decode(encoded(image, "GIF")).pixels, image.convert("RGB"))


def test_a_gif_may_have_a_comment_or_other_bytes_at_its_end() -> None:
    image = picture().quantize(64)
    data = encoded(image, "GIF")
    assert data.endswith(b";")
    for longer in (data[:-1] + b"\x21\xfe\x01x\0;", data + b"\0\0"):
        np.testing.assert_array_equal(decode(longer).pixels, image.convert("RGB"))


def test_a_transparent_colour_of_a_gif_becomes_black() -> None:
    image = picture().quantize(16)
    see_through = np.asarray(image) == 5
    decoded = decode(encoded(image, "GIF", transparency=5, optimize=False))
    assert (decoded.pixels[see_through] == 0).all()
    expected = np.asarray(image.convert("RGB"))[~see_through]
    np.testing.assert_array_equal(decoded.pixels[~see_through], expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"])
def test_an_image_of_one_pixel_is_accepted(kind: str) -> None:
    assert decode(encoded(Image.new("RGB", (1, 1), (9, 9, 9)), kind)).pixels.shape == (1, 1, 3)


# Refusals


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "WEBP"])
def test_several_frames_or_pages_are_refused(kind: str) -> None:
    assert "several frames" in refusal(pages(kind))


def test_an_animated_png_with_one_frame_is_one_image() -> None:
    control = chunk(b"acTL", struct.pack(">II", 1, 0))
    np.testing.assert_array_equal(decode(png(NOISE, RGB, extra=control)).pixels, NOISE)


def test_an_empty_file_is_refused() -> None:
    assert "empty" in refusal(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"slide,cell\n1,2\n",
        "Übersicht\n".encode(),
        b"%PDF-1.7\n",
        b"\0" * 4096,
        encoded(cell(), "PPM"),
        encoded(cell(), "ICO"),
    ],
    ids=["text", "more text", "PDF", "zeros", "PPM", "ICO"],
)
def test_other_files_are_refused_as_no_image_in_a_known_format(data: bytes) -> None:
    assert "not an image in a known format" in refusal(data)


@pytest.mark.parametrize("eighths", range(8))
@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_off_at_any_eighth_is_refused(kind: str, eighths: int) -> None:
    data = WHOLE[kind]
    reason = refusal(data[: len(data) * eighths // 8])
    assert any(word in reason for word in ("empty", "truncated", "damaged"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF"])
def test_a_file_without_its_last_byte_is_refused(kind: str) -> None:
    reason = refusal(WHOLE[kind][:-1])
    assert "truncated" in reason or "damaged" in reason


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_a_cut_off_file_of_several_frames_does_not_pass_for_one_of_a_single_frame(
    kind: str,
) -> None:
    data = pages(kind)
    for length in range(0, len(data), 7):
        assert refusal(data[:length])


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT", b"IEND"])
def test_a_png_with_a_wrong_checksum_is_refused_and_the_chunk_named(name: bytes) -> None:
    data = bytearray(WHOLE["PNG"])
    start = data.index(name)
    (length,) = struct.unpack(">I", data[start - 4 : start])
    data[start + 4 + length] ^= 1
    reason = refusal(bytes(data))
    assert name.decode() in reason
    assert "checksum" in reason


def test_a_png_with_a_changed_pixel_byte_is_refused() -> None:
    data = bytearray(WHOLE["PNG"])
    data[data.index(b"IDAT") + 40] ^= 0xFF
    assert "IDAT" in refusal(bytes(data))


def test_a_png_without_its_end_is_refused() -> None:
    data = WHOLE["PNG"]
    assert data[-8:-4] == b"IEND"
    assert "truncated" in refusal(data[:-12])


def test_a_jpeg_without_its_end_marker_is_refused() -> None:
    data = WHOLE["JPEG"]
    assert data.endswith(b"\xff\xd9")
    assert "truncated" in refusal(data[:-2])


def test_the_end_marker_of_a_thumbnail_is_no_end_of_the_jpeg() -> None:
    thumbnail = b"Exif\0\0" + encoded(picture(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = WHOLE["JPEG"][:2] + segment + WHOLE["JPEG"][2:]
    assert decode(data).pixels.shape == decode(WHOLE["JPEG"]).pixels.shape
    assert "truncated" in refusal(data[:-2])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("any_size", [False, True])
@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_png_whose_header_promises_too_many_pixels_is_refused(
    width: int, height: int, any_size: bool
) -> None:
    assert "too large" in refusal(png_with_header(width, height), any_size=any_size)
    assert on_the_fast_way(png_with_header(width, height)) is None


@pytest.mark.timeout(30)
@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_jpeg_whose_header_promises_too_many_pixels_is_refused(side: int) -> None:
    data = bytearray(WHOLE["JPEG"])
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    assert "too large" in refusal(bytes(data), any_size=True)


def test_a_png_whose_header_gives_no_size_is_refused() -> None:
    assert "no size" in refusal(png_with_header(0, 20))


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize(("width", "height"), [(MAX_SIDE + 1, 10), (10, MAX_SIDE + 1)])
def test_a_side_over_512_pixels_is_refused_unless_any_size_will_do(
    kind: str, width: int, height: int
) -> None:
    data = encoded(Image.new("RGB", (width, height), (90, 80, 70)), kind)
    reason = refusal(data)
    assert "not a single-cell crop" in reason
    assert f"{width} x {height}" in reason
    assert decode(data, any_size=True).pixels.shape == (height, width, 3)


def test_a_side_of_512_pixels_is_accepted() -> None:
    assert decode(encoded(Image.new("RGB", (512, 512)), "PNG")).pixels.shape == (512, 512, 3)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_a_tiff_of_32_bits_is_refused(mode: str) -> None:
    assert "32 bits" in refusal(encoded(cell().convert("L").convert(mode), "TIFF"))


DAMAGE = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6
)


@settings(max_examples=400)
@given(st.sampled_from(sorted(SMALL)), DAMAGE, st.floats(0, 1))
@example("TIFF of two pages", [(0.0, ord("I"))], 0.5)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_damaged_file_is_refused_or_read_but_never_another_error(
    name: str, damage: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(SMALL[name])
    for place, byte in damage:
        data[int(place * len(data))] = byte
    try:
        decoded = decode(bytes(data[: round(kept * len(data))]))
    except UnreadableImageError as error:
        assert str(error)
    else:
        assert decoded.pixels.dtype == np.uint8
        assert decoded.pixels.shape[2] == 3


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("wrong_type", range(20))
@pytest.mark.parametrize(
    "entry", [b"\x01\x0e\x00\x02", b"\x01\x12\x00\x03", b"\x00\x01\x00\x02\0\0\0\2"]
)
def test_exif_data_of_a_wrong_type_is_refused_or_read_but_never_another_error(
    entry: bytes, wrong_type: int
) -> None:
    data = SMALL["JPEG with EXIF"]
    assert data.count(entry) == 1
    try:
        decoded = decode(data.replace(entry, entry[:3] + bytes([wrong_type]) + entry[4:]))
    except UnreadableImageError as error:
        assert str(error)
    else:
        assert decoded.pixels.size == NOISE.size


# The two ways


@pytest.mark.parametrize(("width", "height"), [(1, 1), (27, 19), (96, 103), (512, 512), (2, 511)])
def test_a_plain_png_gives_the_same_pixels_on_both_ways(width: int, height: int) -> None:
    # With a picture of one colour Pillow needs a single chunk, however large it is.
    image = cell() if width < MAX_SIDE else Image.new("RGB", (1, 1), (200, 100, 150))
    data = encoded(image.resize((width, height)), "PNG")
    assert is_plain(data)
    np.testing.assert_array_equal(on_the_fast_way(data), decode(data).pixels)


@pytest.mark.parametrize(
    "data",
    [
        png((DEEP >> 8).astype(np.uint8), RGBA),
        encoded(picture().convert("P"), "PNG"),
        png(DEEP[:, :, :3], RGB),
        png(NOISE, RGB, interlaced=True),
        png(DEEP[:, :, :1], GREY),
        png(NOISE[:, :, :1], GREY),
        png(NOISE[:, :, :2], GREY_ALPHA),
        png(NOISE, RGB, extra=chunk(b"tRNS", bytes(6))),
        pages("PNG"),
        encoded(picture(), "JPEG", exif=exif(6)),
        encoded(picture().convert("CMYK"), "JPEG"),
        encoded(picture().convert("L"), "JPEG"),
        encoded(Image.new("RGB", (513, 10)), "PNG"),
        encoded(Image.new("RGB", (10, 513)), "PNG"),
        SMALL["PNG"][:33] + chunk(b"tEXt", b"Comment\0x") + SMALL["PNG"][33:],
        SMALL["PNG"][:-12] + chunk(b"IDAT", b"") + SMALL["PNG"][-12:],
        SMALL["PNG"] + b"PK",
        *(WHOLE[kind] for kind in ("JPEG", "TIFF", "WEBP", "BMP", "GIF")),
        b"text",
        b"",
    ],
    ids=[
        *("RGBA", "palette", "16-bit RGB", "interlaced", "16-bit grey", "grey", "grey alpha"),
        *("tRNS", "APNG"),
        *("EXIF JPEG", "CMYK JPEG", "grey JPEG"),
        *("wide PNG", "high PNG", "PNG with text", "PNG of four chunks", "PNG and more"),
        *("JPEG", "TIFF", "WEBP", "BMP", "GIF", "text", "empty"),
    ],
)
def test_everything_else_is_left_to_the_careful_way(data: bytes) -> None:
    assert not is_plain(data)


def test_a_large_image_is_not_plain() -> None:
    assert is_plain(encoded(Image.new("RGB", (512, 512), "pink"), "PNG"))
    assert not is_plain(encoded(Image.new("RGB", (512, 513), "pink"), "PNG"))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 20, 24, 26, 32, 33, 60])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_tiny_beginning_of_a_file_never_gives_pixels(kind: str, length: int) -> None:
    data = WHOLE[kind][:length]
    assert on_the_fast_way(data) is None
    assert refusal(data)


@pytest.mark.parametrize("eighths", range(8))
def test_a_cut_off_file_never_gives_pixels_on_the_fast_way(eighths: int) -> None:
    data = encoded(cell(), "PNG")
    assert on_the_fast_way(data) is not None
    assert on_the_fast_way(data[: len(data) * eighths // 8]) is None
    assert on_the_fast_way(data[:-1]) is None
    assert on_the_fast_way(data[:-2]) is None
    assert on_the_fast_way(data[:-12]) is None


@settings(max_examples=150)
@given(st.sampled_from([b"", PNG_MAGIC, WHOLE["PNG"][:33], b"\xff\xd8\xff"]), st.binary())
def test_any_bytes_are_refused_and_give_no_pixels(start: bytes, rest: bytes) -> None:
    assert on_the_fast_way(start + rest) is None
    assert refusal(start + rest)


@settings(max_examples=150)
@given(DAMAGE)
def test_a_damaged_png_gives_the_same_pixels_on_both_ways_or_none(
    damage: list[tuple[float, int]],
) -> None:
    data = bytearray(SMALL["PNG"])
    for place, byte in damage:
        data[int(place * len(data))] = byte
    pixels = on_the_fast_way(bytes(data))
    if pixels is not None:
        np.testing.assert_array_equal(pixels, decode(bytes(data)).pixels)


def test_a_text_that_is_too_long_is_no_reason_to_refuse_a_picture() -> None:
    whole = encoded(Image.new("L", (20, 20)).convert("P", colors=4), "PNG", bits=4)
    huge_text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(5_000_000)))

    np.testing.assert_array_equal(
        decode(whole[:33] + huge_text + whole[33:]).pixels, decode(whole).pixels
    )


def test_a_jpeg_with_a_second_picture_is_refused() -> None:
    image = Image.new("RGB", (20, 20), "pink")
    several = encoded(image, "MPO", save_all=True, append_images=[image])

    assert "not one cell" in refusal(several)


@pytest.mark.parametrize(("place", "value"), [(10, 0), (10, 20), (14, 64)])
def test_a_bmp_whose_pixels_would_begin_in_its_header_is_refused(place: int, value: int) -> None:
    data = bytearray(WHOLE["BMP"])
    struct.pack_into("<I", data, place, value)
    assert "BMP header" in refusal(bytes(data))


def test_a_bmp_that_lacks_a_byte_of_its_last_row_is_refused() -> None:
    black_and_white = encoded(cell().convert("1"), "BMP")
    decode(black_and_white)
    assert "truncated" in refusal(black_and_white[:-1])


def test_an_error_that_nobody_foresaw_is_a_reason_and_ends_no_scan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(data: bytes) -> bool:
        raise KeyError(7)

    monkeypatch.setattr("malscan.decode.is_plain_jpeg", fail)
    assert refusal(WHOLE["JPEG"]) == "damaged: the image data cannot be decoded"


@pytest.mark.fault("death by a limit on memory")
def test_a_good_image_is_not_called_damaged_where_memory_runs_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(*args: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", no_memory)

    with pytest.raises(MemoryError):
        decode(encoded(cell(), "TIFF"), any_size=False)
