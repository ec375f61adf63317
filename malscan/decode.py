"""The one place that decides how file bytes become pixels, and when they must not.

Two ways lead to the same pixels. The fast one decodes in the tf.data graph and takes plain 8-bit
RGB PNG. The careful one runs in Python, takes every other accepted file, and knows the reason
when a file is refused. Plain JPEG is as fast there as in the graph, where nothing tells that its
data end early.
"""

import io
import struct

import numpy as np
import tensorflow as tf
from PIL import Image

from malscan.jpeg import JPEG_START, is_plain_jpeg, read_strictly, size_of_jpeg
from malscan.picture import (
    MAX_PIXELS,
    MAX_SIDE,
    Decoded,
    Pixels,
    UnreadableImageError,
    check_size,
    decode_with_pillow,
    from_16_bit,
    on_black,
)
from malscan.png import HEADER_BYTES, PNG_START, fault_of_png, picture_alone

_PNG_DEPTH_8_RGB = b"\x08\x02"
_PNG_AROUND_THE_PICTURE = HEADER_BYTES + 12 + 12
"""Bytes of a PNG of three chunks that are not its compressed picture."""
_BAD_PNG = "damaged: the PNG data cannot be decoded"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def is_plain(data: bytes, any_size: bool) -> bool:
    """Whether the fast way may decode a file, judged by its header alone.

    Args:
        data: the bytes of a file.
        any_size: whether sides over `MAX_SIDE` are accepted.

    Returns:
        Whether it is a PNG of 8-bit RGB, of an accepted size, and of three chunks: without others
        there is no transparency, no animation, and no wrong checksum of which libpng only warns.
    """
    if not data.startswith(PNG_START) or data[24:26] != _PNG_DEPTH_8_RGB:
        return False
    picture = int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 4], "big")
    if data[HEADER_BYTES + 4 : HEADER_BYTES + 8] != b"IDAT" or not data.endswith(_PNG_END):
        return False
    if picture + _PNG_AROUND_THE_PICTURE != len(data):
        return False
    width, height = struct.unpack(">II", data[16:24])
    return bool(width * height <= MAX_PIXELS if any_size else max(width, height) <= MAX_SIDE)


def decode_plain(data: tf.Tensor) -> tf.Tensor:
    """Decode a file that `is_plain` in the graph.

    Args:
        data: scalar string tensor, the bytes of a file.

    Returns:
        uint8 tensor [height, width, 3]. Damaged or truncated data is an error of the
        element (`InvalidArgumentError`), never a picture.
    """
    return tf.ensure_shape(tf.io.decode_png(data, channels=3), [None, None, 3])


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
    try:
        return _decode(data, any_size)
    except (UnreadableImageError, MemoryError):
        raise
    except Exception:
        # Decoders raise nearly any kind of error; one file must never end the scan of all.
        raise UnreadableImageError("damaged: the image data cannot be decoded") from None


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
