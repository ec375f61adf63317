"""The one place that decides how file bytes become pixels, and when they must not.

Two ways lead to the same pixels. The fast one runs inside the tf.data graph and takes plain
8-bit RGB PNG and plain JPEG, which is nearly everything. The careful one runs in Python, takes
every other accepted file, and knows the reason when a file is refused.
"""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = npt.NDArray[np.uint8]

MAX_SIDE = 512
"""Longest side in pixels of a crop of one cell; larger pictures are likely whole fields."""
MAX_PIXELS = 50_000_000
MAX_BYTES = 512 * 1024 * 1024

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PILLOW_FORMATS = ("JPEG", "TIFF", "WEBP", "BMP", "GIF")
_PNG_HEADER_BYTES = 1024
_PNG_DEPTH_8_RGB = b"\x08\x02"


class UnreadableImageError(Exception):
    """The image must not be scored; the text is the reason, for a technician."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels of one image.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, upright, transparency laid on black.
        grey: whether the file holds no colour.
    """

    pixels: Pixels
    grey: bool


def is_plain(data: tf.Tensor, any_size: bool) -> tf.Tensor:
    """Whether the fast path may decode a file, judged by its header alone.

    Args:
        data: scalar string tensor, the bytes of a file.
        any_size: whether sides over `MAX_SIDE` are accepted.

    Returns:
        Scalar bool tensor.
    """
    return tf.case(
        [
            (_starts_with(data, _PNG), lambda: _is_plain_png(data, any_size)),
            (_starts_with(data, _JPEG), lambda: _is_plain_jpeg(data, any_size)),
        ],
        default=lambda: tf.constant(False),
    )


def decode_plain(data: tf.Tensor) -> tf.Tensor:
    """Decode a file that `is_plain` in the graph.

    Args:
        data: scalar string tensor, the bytes of a file.

    Returns:
        uint8 tensor [height, width, 3]. Damaged or truncated data is an error of the
        element (`InvalidArgumentError`), never a picture.
    """
    pixels = tf.cond(
        _starts_with(data, _PNG),
        lambda: tf.io.decode_png(data, channels=3),
        # The accurate transform gives Pillow's pixels to the bit; the default one does not.
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def decode(data: bytes, *, any_size: bool = False) -> Decoded:
    """Decode any accepted file carefully.

    Args:
        data: the bytes of a file.
        any_size: whether sides over `MAX_SIDE` are accepted.

    Returns:
        The pixels and whether they are grey.

    Raises:
        UnreadableImageError: the file is empty, truncated, damaged, too large, has several
            frames or is of no accepted format.
    """
    if not data:
        raise UnreadableImageError("the file is empty (0 bytes)")
    if data.startswith(_PNG):
        return _decode_png(data, any_size)
    return _decode_with_pillow(data, any_size)


def _starts_with(data: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(data, 0, len(magic)), magic)


def _fits(height: tf.Tensor, width: tf.Tensor, any_size: bool) -> tf.Tensor:
    if not any_size:
        return tf.maximum(height, width) <= MAX_SIDE
    return tf.cast(height, tf.int64) * tf.cast(width, tf.int64) <= MAX_PIXELS


def _is_plain_png(data: tf.Tensor, any_size: bool) -> tf.Tensor:
    """8-bit RGB whose header says no transparency and no animation."""
    head = tf.strings.substr(data, 33, _PNG_HEADER_BYTES)
    return tf.cond(
        tf.equal(tf.strings.substr(data, 24, 2), _PNG_DEPTH_8_RGB)
        & tf.strings.regex_full_match(head, rb"\C*IDAT\C*")
        & ~tf.strings.regex_full_match(head, rb"\C*(tRNS|acTL)\C*"),
        lambda: _fits(_big_endian(data, 20), _big_endian(data, 16), any_size),
        lambda: tf.constant(False),
    )


def _is_plain_jpeg(data: tf.Tensor, any_size: bool) -> tf.Tensor:
    """Three components, no EXIF block (it could ask for a rotation), no second picture."""

    def three_components_that_fit() -> tf.Tensor:
        shape = tf.io.extract_jpeg_shape(data)
        return tf.equal(shape[2], 3) & _fits(shape[0], shape[1], any_size)

    has_more = tf.strings.regex_full_match(data, rb"\C*(Exif\x00\x00|MPF\x00)\C*")
    return tf.cond(has_more, lambda: tf.constant(False), three_components_that_fit)


def _big_endian(data: tf.Tensor, offset: int) -> tf.Tensor:
    raw = tf.io.decode_raw(tf.strings.substr(data, offset, 4), tf.uint8)
    digits = tf.cast(raw, tf.int64) * tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    return tf.reduce_sum(digits)


def _check_size(width: int, height: int, any_size: bool) -> None:
    if width < 1 or height < 1:
        raise UnreadableImageError(f"the header gives no size ({width} x {height} pixels)")
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            f"too large: {width} x {height} pixels, over {MAX_PIXELS // 1_000_000} megapixels"
        )
    if not any_size and max(width, height) > MAX_SIDE:
        raise UnreadableImageError(
            f"not a single-cell crop: {width} x {height} pixels, over {MAX_SIDE} on a side"
        )


def _decode_png(data: bytes, any_size: bool) -> Decoded:
    if len(data) < 33:
        raise UnreadableImageError("truncated: the file ends inside the PNG header")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    _check_size(width, height, any_size)
    if _png_frames(data) > 1:
        raise UnreadableImageError("several frames: an animated PNG is not one cell")
    dtype = tf.uint16 if depth == 16 else tf.uint8
    try:
        pixels = tf.io.decode_png(data, channels=4, dtype=dtype).numpy()
    except tf.errors.InvalidArgumentError:
        raise UnreadableImageError(_png_fault(data)) from None
    if depth == 16:
        pixels = _from_16_bit(pixels)
    elif depth < 8:
        pixels = _low_depth_png(data)
    return Decoded(_on_black(pixels), grey=colour in (0, 4))


def _low_depth_png(data: bytes) -> Pixels:
    """Pixels [height, width, 4] of a PNG that TensorFlow has checked.

    TensorFlow itself keeps only as many bits of each colour as the file has of each pixel.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return np.asarray(image.convert("RGBA"))
    except Exception:
        # Pillow is stricter with text chunks; what it raises may hold a memory address.
        raise UnreadableImageError(_png_fault(data)) from None


def _png_frames(data: bytes) -> int:
    control = data.find(b"acTL", 33, data.find(b"IDAT", 33))
    return int.from_bytes(data[control + 4 : control + 8], "big") if control > 0 else 1


def _png_fault(data: bytes) -> str:
    """Say what is wrong with a PNG that the decoder refuses, by checking chunk after chunk."""
    offset = len(_PNG)
    while offset + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[offset : offset + 8])
        end = offset + 8 + length
        name = kind.decode("ascii", "backslashreplace")
        if end + 4 > len(data):
            return f"truncated: the file ends inside PNG chunk {name}"
        (checksum,) = struct.unpack(">I", data[end : end + 4])
        if zlib.crc32(data[offset + 4 : end]) != checksum:
            return f"damaged: the checksum of PNG chunk {name} is wrong"
        if kind == b"IEND":
            return "damaged: the PNG data cannot be decoded"
        offset = end + 4
    return "truncated: the PNG has no end"


def _decode_with_pillow(data: bytes, any_size: bool) -> Decoded:
    try:
        with Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS) as image:
            _check_size(image.width, image.height, any_size)
            frames = getattr(image, "n_frames", 1)
            if frames > 1:
                raise UnreadableImageError(f"several frames or pages ({frames}), not one cell")
            image.load()
            if image.format == "JPEG" and not _jpeg_has_end(data):
                raise UnreadableImageError("truncated: the JPEG has no end marker")
            if image.format == "GIF" and not _gif_has_end(data):
                raise UnreadableImageError("truncated: the GIF has no end")
            upright = ImageOps.exif_transpose(image)
            return Decoded(_rgb(upright), grey=upright.mode in ("1", "L", "LA", "I;16", "I;16B"))
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(_why_unidentified(data)) from None
    except Image.DecompressionBombError:
        raise UnreadableImageError("too large: the header promises too many pixels") from None
    except Exception as error:
        # Pillow's readers raise nearly any kind of error on damaged files.
        word = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise UnreadableImageError(f"{word}: {error}") from None


def _why_unidentified(data: bytes) -> str:
    if data.startswith((_JPEG, b"II*\0", b"MM\0*", b"RIFF", b"BM", b"GIF8", _PNG[:4])):
        return "truncated or damaged: the image header is not whole"
    return "not an image in a known format (PNG, JPEG, TIFF, WebP, BMP, GIF)"


def _jpeg_has_end(data: bytes) -> bool:
    """Whether the marker segments of a JPEG run on to its end-of-image marker.

    A plain search would be fooled by the end marker of an embedded thumbnail.
    """
    offset = 2
    while (offset := data.find(b"\xff", offset)) >= 0 and offset + 1 < len(data):
        marker = data[offset + 1]
        if marker == 0xD9:
            return True
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            offset += 1 if marker == 0xFF else 2
        else:
            offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
    return False


def _gif_has_end(data: bytes) -> bool:
    """Whether the blocks of a GIF run on to its trailer; if not, more frames may be missing."""
    offset = 13 + _gif_palette_bytes(data[10:11])
    while offset < len(data) and data[offset] != 0x3B:
        is_frame = data[offset] == 0x2C
        offset += 11 + _gif_palette_bytes(data[offset + 9 : offset + 10]) if is_frame else 2
        while offset < len(data) and data[offset]:
            offset += 1 + data[offset]
        offset += 1
    return offset < len(data)


def _gif_palette_bytes(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16"):
        grey = _from_16_bit(np.asarray(image).astype(np.uint16))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise UnreadableImageError(f"pixels of {image.mode} type (32 bits) have no known range")
    if image.has_transparency_data:
        return _on_black(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _from_16_bit(values: npt.NDArray[np.uint16]) -> Pixels:
    return np.rint(values / 257.0).astype(np.uint8)


def _on_black(rgba: Pixels) -> Pixels:
    """Lay transparent pixels on black, like the masked background of the training cells."""
    alpha = rgba[:, :, 3:].astype(np.uint16)
    if (alpha == 255).all():
        return np.ascontiguousarray(rgba[:, :, :3])
    return ((rgba[:, :, :3] * alpha + 127) // 255).astype(np.uint8)
