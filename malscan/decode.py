"""The one place that decides how file bytes become pixels, and when they must not.

Two ways lead to the same pixels. The fast one runs inside the tf.data graph and takes plain
8-bit RGB PNG. The careful one runs in Python, takes every other accepted file, and knows the reason
when a file is refused. Plain JPEG is as fast there as in the graph, where nothing tells that its
data end early.
"""

import io
import struct
import zlib

import numpy as np
import tensorflow as tf
from PIL import Image

from malscan.jpeg import JPEG_START, is_plain_jpeg, read_strictly, size_of_jpeg
from malscan.picture import (
    MAX_PIXELS,
    MAX_SIDE,
    PNG_START,
    Decoded,
    Pixels,
    UnreadableImageError,
    check_size,
    decode_with_pillow,
    from_16_bit,
    on_black,
)

_PNG_HEADER_BYTES = 1024
_PNG_DEPTH_8_RGB = b"\x08\x02"


def is_plain(data: tf.Tensor, any_size: bool) -> tf.Tensor:
    """Whether the fast path may decode a file, judged by its header alone.

    Args:
        data: scalar string tensor, the bytes of a file.
        any_size: whether sides over `MAX_SIDE` are accepted.

    Returns:
        Scalar bool tensor.
    """
    is_png = tf.equal(tf.strings.substr(data, 0, len(PNG_START)), PNG_START)
    return tf.cond(is_png, lambda: _is_plain_png(data, any_size), lambda: tf.constant(False))


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
    if data.startswith(PNG_START):
        return _decode_png(data, any_size)
    if data.startswith(JPEG_START) and is_plain_jpeg(data):
        pixels = _plain_jpeg(data, any_size)
        if pixels is not None:
            return Decoded(pixels, grey=False)
    return decode_with_pillow(data, any_size)


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


def _big_endian(data: tf.Tensor, offset: int) -> tf.Tensor:
    raw = tf.io.decode_raw(tf.strings.substr(data, offset, 4), tf.uint8)
    digits = tf.cast(raw, tf.int64) * tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    return tf.reduce_sum(digits)


def _plain_jpeg(data: bytes, any_size: bool) -> Pixels | None:
    """The pixels of a plain JPEG; None where a more careful look is needed."""
    size = size_of_jpeg(data)
    if size is None:
        return None
    check_size(*size, any_size)
    return read_strictly(data)


def _decode_png(data: bytes, any_size: bool) -> Decoded:
    if len(data) < 33:
        raise UnreadableImageError("truncated: the file ends inside the PNG header")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    check_size(width, height, any_size)
    if _png_frames(data) > 1:
        raise UnreadableImageError("several frames: an animated PNG is not one cell")
    dtype = tf.uint16 if depth == 16 else tf.uint8
    try:
        pixels = tf.io.decode_png(data, channels=4, dtype=dtype).numpy()
    except tf.errors.InvalidArgumentError:
        raise UnreadableImageError(_png_fault(data)) from None
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
        raise UnreadableImageError(_png_fault(data)) from None


def _png_frames(data: bytes) -> int:
    control = data.find(b"acTL", 33, data.find(b"IDAT", 33))
    return int.from_bytes(data[control + 4 : control + 8], "big") if control > 0 else 1


def _png_fault(data: bytes) -> str:
    """Say what is wrong with a PNG that the decoder refuses, by checking chunk after chunk."""
    offset = len(PNG_START)
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
