"""TIFF of more than 8 bits a sample, of which Pillow alone drops bits or takes them wrongly."""

import io
import re
import sys
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
_SWAPPED = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


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
