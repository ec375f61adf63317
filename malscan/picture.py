"""What can be told of a picture without TensorFlow: its limits, its faults, and Pillow's view.

Scans decode through `malscan.decode`, which builds on this; what is only to be looked at does not
need TensorFlow, which takes seconds to load.
"""

import io
import os
import stat
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from malscan.gif import fault_of_gif
from malscan.jpeg import JPEG_START, fault_of_jpeg
from malscan.png import PNG_START
from malscan.tiff import Samples, deep_samples, fault_of_tiff

Pixels = npt.NDArray[np.uint8]

MAX_SIDE = 512
"""Longest side in pixels of a crop of one cell; larger pictures are likely whole fields."""
MAX_PIXELS = 50_000_000
MAX_BYTES = 512 * 1024 * 1024

_BMP_FILE_HEADER, _BMP_USUAL_HEADER = 14, 40
_BMP_PLAIN = (0, 3)
UNDECODABLE = "damaged: the image data cannot be decoded"
"""Said of an image where nothing better is known."""
PILLOW_FORMATS = ("JPEG", "TIFF", "WEBP", "BMP", "GIF")


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


def fault_of_file(path: str) -> str | None:
    """Why a file must not be opened at all: a FIFO would block, a huge file fill the memory."""
    try:
        status = os.stat(path)
    except OSError as error:
        return plain_reason(error)
    except ValueError:
        return "no file can have this name: it holds a zero byte"
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_size > MAX_BYTES:
        return f"too large: a file of {status.st_size / 1e6:.0f} MB"
    return None


def plain_reason(error: OSError) -> str:
    """What the system says of a file, in its own words and without the name."""
    return (error.strerror or str(error)).lower()


def check_size(width: int, height: int, any_size: bool) -> None:
    """Refuse a picture by the size in its header, before anything is decoded.

    Raises:
        UnreadableImageError: it has no pixel, too many, or is no crop of a single cell.
    """
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


def decode_with_pillow(
    data: bytes, any_size: bool, formats: tuple[str, ...] = PILLOW_FORMATS
) -> Decoded:
    """Decode a file of one of the formats that are left to Pillow, or of another on demand.

    Args:
        data: the bytes of a file.
        any_size: whether sides over `MAX_SIDE` are accepted.
        formats: names of formats as Pillow knows them. A PNG is not turned, since scans do not
            turn it either; Pillow accepts some damaged ones that scans refuse.

    Raises:
        UnreadableImageError: the file is truncated, damaged, too large, has several frames or
            is of none of the formats.
    """
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            check_size(image.width, image.height, any_size)
            frames = getattr(image, "n_frames", 1)
            if frames > 1:
                raise UnreadableImageError(f"several frames or pages ({frames}), not one cell")
            if isinstance(image, TiffImageFile):
                _refuse(fault_of_tiff(image, data))
                samples = deep_samples(image, data)
                if samples is not None:
                    return _of_16_bit(samples)
            image.load()
            if check := {"JPEG": fault_of_jpeg, "GIF": fault_of_gif, "BMP": fault_of_bmp}.get(
                image.format or ""
            ):
                _refuse(check(data))
            upright = image if image.format == "PNG" else ImageOps.exif_transpose(image)
            return Decoded(_rgb(upright), grey=upright.mode in ("1", "L", "LA", "I;16", "I;16B"))
    except (UnreadableImageError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(_why_unidentified(data)) from None
    except Image.DecompressionBombError:
        raise UnreadableImageError("too large: the header promises too many pixels") from None
    except Exception as error:
        # Pillow's readers raise nearly any kind of error on damaged files.
        word = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise UnreadableImageError(f"{word}: {error}") from None


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise UnreadableImageError(fault)


def _why_unidentified(data: bytes) -> str:
    if data.startswith((b"II*\0", b"MM\0*")):
        return "truncated, damaged, or a TIFF with pixels of an unknown kind (such as fractions)"
    if data.startswith((JPEG_START, b"RIFF", b"BM", b"GIF8", PNG_START[:4])):
        return "truncated or damaged: the image header is not whole"
    return "not an image in a known format (PNG, JPEG, TIFF, WebP, BMP, GIF)"


def fault_of_bmp(data: bytes) -> str | None:
    """Why a BMP must not be trusted: Pillow would take its header, or what is missing, for pixels.

    Args:
        data: the bytes of a file that Pillow takes for a BMP.
    """
    start, size = (int.from_bytes(data[place : place + 4], "little") for place in (10, 14))
    if start < _BMP_FILE_HEADER + size:
        return "damaged: the BMP header is garbled"
    if size < _BMP_USUAL_HEADER:
        return None
    wide, high, _, bits, packing = struct.unpack_from("<iiHHI", data, 18)
    row = -(-wide * bits // 32) * 4
    if packing in _BMP_PLAIN and start + row * abs(high) > len(data):
        return "truncated: the BMP ends before the picture is complete"
    return None


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16"):
        grey = from_16_bit(np.asarray(image).astype(np.uint16))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise UnreadableImageError(f"pixels of {image.mode} type (32 bits) have no known range")
    if image.has_transparency_data:
        return on_black(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _of_16_bit(samples: Samples) -> Decoded:
    pixels = from_16_bit(samples)
    if pixels.ndim == 2:
        return Decoded(np.repeat(pixels[:, :, None], 3, axis=2), grey=True)
    return Decoded(on_black(pixels) if pixels.shape[2] == 4 else pixels, grey=False)


def from_16_bit(values: npt.NDArray[np.uint16]) -> Pixels:
    """Bring 0..65535 to 0..255."""
    return np.rint(values / 257.0).astype(np.uint8)


def on_black(rgba: Pixels) -> Pixels:
    """Lay transparent pixels on black, like the masked background of the training cells."""
    alpha = rgba[:, :, 3:].astype(np.uint16)
    if (alpha == 255).all():
        return np.ascontiguousarray(rgba[:, :, :3])
    return ((rgba[:, :, :3] * alpha + 127) // 255).astype(np.uint8)
