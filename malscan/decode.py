"""The one place that decides how file bytes become pixels, and when they must not.

Two ways lead to the same pixels. The fast one, `malscan.plain_png`, takes plain 8-bit RGB PNG. The
careful one takes every accepted file, and knows the reason when a file is refused.
"""

import io
import struct

import numpy as np
import tensorflow as tf
from PIL import Image

from malscan.jpeg import JPEG_START, is_plain_jpeg, read_strictly, size_of_jpeg
from malscan.picture import (
    UNDECODABLE,
    Decoded,
    Pixels,
    UnreadableImageError,
    check_size,
    decode_with_pillow,
    from_16_bit,
    on_black,
)
from malscan.png import HEADER_BYTES, PNG_START, fault_of_png, picture_alone

_BAD_PNG = "damaged: the PNG data cannot be decoded"


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
        MemoryError: there is not enough.
    """
    if not data:
        raise UnreadableImageError("the file is empty (0 bytes)")
    try:
        return _decode(data, any_size)
    except (UnreadableImageError, MemoryError):
        raise
    except tf.errors.ResourceExhaustedError:
        raise MemoryError from None
    except Exception:
        # Decoders raise nearly any kind of error; one file must never end the scan of all.
        raise UnreadableImageError(UNDECODABLE) from None


def _decode(data: bytes, any_size: bool) -> Decoded:
    if data.startswith(PNG_START):
        return _decode_png(data, any_size)
    if data.startswith(JPEG_START) and is_plain_jpeg(data):
        pixels = _plain_jpeg(data, any_size)
        if pixels is not None:
            return Decoded(pixels, grey=False)
    return decode_with_pillow(data, any_size)


def _plain_jpeg(data: bytes, any_size: bool) -> Pixels | None:
    """The pixels of a plain JPEG; None where a more careful look is needed."""
    size = size_of_jpeg(data)
    if size is None:
        return None
    check_size(*size, any_size)
    return read_strictly(data)


def _decode_png(data: bytes, any_size: bool) -> Decoded:
    if len(data) < HEADER_BYTES:
        raise UnreadableImageError("truncated: the file ends inside the PNG header")
    if data[12:16] != b"IHDR":
        raise UnreadableImageError("damaged: the PNG header is not where it belongs")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    check_size(width, height, any_size)
    if _png_frames(data) > 1:
        raise UnreadableImageError("several frames: an animated PNG is not one cell")
    if fault := fault_of_png(data):
        raise UnreadableImageError(fault)
    data = picture_alone(data)
    dtype = tf.uint16 if depth == 16 else tf.uint8
    try:
        pixels = tf.io.decode_png(data, channels=4, dtype=dtype).numpy()
    except tf.errors.InvalidArgumentError:
        raise UnreadableImageError(_BAD_PNG) from None
    if depth == 16:
        pixels = from_16_bit(pixels)
    elif depth < 8:
        pixels = _low_depth_png(data)
    return Decoded(on_black(pixels), grey=colour in (0, 4))


def _low_depth_png(data: bytes) -> Pixels:
    """Pixels [height, width, 4] of a PNG that TensorFlow has checked.

    TensorFlow itself keeps only as many bits of each colour as the file has of each pixel.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return np.asarray(image.convert("RGBA"))
    except MemoryError:
        raise
    except Exception:
        # Pillow is stricter with text chunks; what it raises may hold a memory address.
        raise UnreadableImageError(_BAD_PNG) from None


def _png_frames(data: bytes) -> int:
    control = data.find(b"acTL", 33, data.find(b"IDAT", 33))
    return int.from_bytes(data[control + 4 : control + 8], "big") if control > 0 else 1
