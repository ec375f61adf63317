"""TIFF: whether its picture is where it says, and samples of more than 8 bits.

Of those, Pillow alone drops bits or takes them wrongly.
"""

import io
import re
import struct
import sys
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

Samples = npt.NDArray[np.uint16]

_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_PLANAR = 284
_SEPARATE = 2
_SEPARATE_PLANES = ("R", "G", "B", "A")
_WIDTH, _HEIGHT, _COMPRESSION, _SAMPLES = 256, 257, 259, 277
_STRIPS, _ROWS, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_PLAIN, _DEFLATE, _YCBCR = 1, (8, 32946), 6
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""By type, what a value takes (TIFF 6.0, section 2)."""
_DECISIVE = frozenset(
    {_WIDTH, _HEIGHT, _BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _SAMPLES, _ROWS}
    | {_STRIP_BYTES, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES}
)
"""Tags that say where the picture is and how it is kept."""
_WHOLE_NUMBERS = (1, 3, 4)
_GARBLED = "damaged: a value of the TIFF is garbled"
_OUTSIDE = "truncated or damaged: a part of the TIFF lies outside of the file"
_SWAPPED = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


def fault_of_tiff(image: TiffImageFile, data: bytes) -> str | None:
    """Why a TIFF must not be trusted; None if its picture is where it says, in full length.

    Pillow goes by what it needs, and passes over values that contradict each other.

    Args:
        image: the TIFF, opened and not yet loaded.
        data: the bytes of its file.
    """
    try:
        return _fault(image, data)
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error):
        return _GARBLED


def _fault(image: TiffImageFile, data: bytes) -> str | None:
    if fault := _values_fault(data):
        return fault
    tags = image.tag_v2
    tiled = _TILES in tags
    starts = _several(tags.get(_TILES if tiled else _STRIPS))
    sizes = _several(tags.get(_TILE_BYTES if tiled else _STRIP_BYTES))
    wanted = _tile_bytes(tags) if tiled else _strip_bytes(tags)
    if not starts or not len(starts) == len(sizes) == len(wanted):
        return "damaged: the TIFF does not say where all of its picture is"
    if any(size < 1 or start + size > len(data) for start, size in zip(starts, sizes, strict=True)):
        return _OUTSIDE
    compression = tags.get(_COMPRESSION, _PLAIN)
    if compression == _PLAIN and tags.get(_PHOTOMETRIC) != _YCBCR:
        if any(size < least for size, least in zip(sizes, wanted, strict=True)):
            return "damaged: the TIFF data end before the picture is complete"
    elif compression in _DEFLATE:
        for start, size, length in zip(starts, sizes, wanted, strict=True):
            if not _unpacks(data[start : start + size], length):
                return "damaged: the compressed data of the TIFF are not whole"
    return None


def _values_fault(data: bytes) -> str | None:
    """What is wrong with the values of the first page; those of a BigTIFF are left to Pillow."""
    order = "<" if data[:2] == b"II" else ">"
    magic, start = struct.unpack_from(f"{order}HI", data, 2)
    if magic != 42:
        return None
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for number in range(count):
        place = start + 2 + 12 * number
        tag, kind, many, value = struct.unpack_from(f"{order}HHII", data, place)
        size = _VALUE_BYTES.get(kind, 1) * many
        if size > 4 and value + size > len(data):
            return _OUTSIDE
        if tag in _DECISIVE and (many == 0 or kind not in _WHOLE_NUMBERS):
            return _GARBLED
    return None


def _several(values: Any) -> tuple[int, ...]:
    return values if isinstance(values, tuple) else () if values is None else (values,)


def _bits_of_pixel(tags: Any) -> tuple[int, int]:
    """Bits of a pixel within a plane, and number of planes."""
    bits, samples = _several(tags.get(_BITS_PER_SAMPLE, 1)), tags.get(_SAMPLES, 1)
    if tags.get(_PLANAR) == _SEPARATE:
        return bits[0], samples
    if len(bits) not in (1, samples):
        raise ValueError("bits of other samples")
    return sum(bits) if len(bits) == samples else bits[0] * samples, 1


def _strip_bytes(tags: Any) -> list[int]:
    """Bytes of each strip unpacked."""
    bits, planes = _bits_of_pixel(tags)
    height = tags[_HEIGHT]
    row, rows = -(-tags[_WIDTH] * bits // 8), min(tags.get(_ROWS, height), height)
    return [row * min(rows, height - top) for top in range(0, height, rows)] * planes


def _tile_bytes(tags: Any) -> list[int]:
    """Bytes of each tile unpacked; tiles at an edge are as large as the others."""
    bits, planes = _bits_of_pixel(tags)
    width, height = tags[_TILE_WIDTH], tags[_TILE_HEIGHT]
    count = -(-tags[_WIDTH] // width) * -(-tags[_HEIGHT] // height)
    return [-(-width * bits // 8) * height] * (count * planes)


def _unpacks(packed: bytes, length: int) -> bool:
    stream = zlib.decompressobj()
    try:
        # One byte more, so that the checksum behind the last one is looked at.
        return len(stream.decompress(packed, length + 1)) == length and stream.eof
    except zlib.error:
        return False


def deep_samples(image: TiffImageFile, data: bytes) -> Samples | None:
    """The samples of a TIFF of more than 8 bits each.

    Args:
        image: the TIFF, opened and not yet loaded.
        data: the bytes of its file.

    Returns:
        uint16 [height, width] or [height, width, 3 or 4], upright, 65535 for full intensity;
        None where there are no more than 8 bits, or Pillow's own reading must do (its high
        bytes of compressed separate planes and of CMYK).

    Raises:
        Exception: nearly any kind, on damaged files.
    """
    if image.mode.startswith("I;16"):
        return _grey(image)
    modes = _raw_modes(image)
    order = "L" if image.tag_v2.prefix == b"II" else "B"
    if max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))) == 16 and set(modes) <= {*_SEPARATE_PLANES}:
        # Pillow takes each byte of a plane for a sample.
        modes = [f"{mode};16{order}" for mode in modes]
    elif not all(re.fullmatch("RGB[AX]?;16[LBN]", mode) for mode in modes):
        return None
    elif image.tile[0].codec_name == "libtiff" and image.tag_v2.get(_PLANAR) == _SEPARATE:
        # Here Pillow does not ask for the mode.
        return None
    high = _read(data, modes)
    low = _read(data, [mode[:-1] + _SWAPPED[mode[-1]] for mode in modes])
    return np.left_shift(high, 8, dtype=np.uint16) | low


def _grey(image: TiffImageFile) -> Samples:
    (bits, *_) = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))
    samples = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
    if bits < 16:
        samples = np.rint(samples * (65535 / (2**bits - 1))).astype(np.uint16)
    return 65535 - samples if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else samples


def _raw_modes(image: TiffImageFile) -> list[str]:
    return [_args(tile)[0] for tile in image.tile]


def _read(data: bytes, modes: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Let Pillow unpack a TIFF in other ways than it would; those of 16 bits give the high byte."""
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        tiles = zip(image.tile, modes, strict=True)
        image.tile = [tile._replace(args=(mode, *_args(tile)[1:])) for tile, mode in tiles]
        return np.asarray(ImageOps.exif_transpose(image))


def _args(tile: ImageFile._Tile) -> tuple[Any, ...]:
    return tile.args if isinstance(tile.args, tuple) else (tile.args,)
