"""Small pictures of cells, read again from their files when the reports are put together."""

import io
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from malscan.picture import (
    PILLOW_FORMATS,
    UnreadableImageError,
    decode_with_pillow,
    fault_of_file,
    plain_reason,
)
from malscan.report.row import Row, path_bytes_of

SIDE = 128
"""Longest side of a thumbnail in pixels; hardly less than a typical crop."""
MOST_BYTES = 4000
"""An encoded thumbnail is never larger. Real cells have 1,800 bytes on average, hardly one over
2,700."""

_FORMATS = ("PNG", *PILLOW_FORMATS)
_LARGEST_FAILED = 4_000_000
"""Bytes of a failed file up to which it is looked at; whole fields take a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """What can be seen of an image.

    Attributes:
        picture: RGB, at most `SIDE` pixels on a side; None if it cannot be shown.
        fault: why it cannot be shown; None if it can.
    """

    picture: Image.Image | None
    fault: str | None


def thumbnail(row: Row) -> Thumbnail:
    """Read the image of a row once more, turned upright as in the scan.

    An image that a scan refuses may still be good to look at, as a whole field is.
    """
    path = os.fsdecode(path_bytes_of(row))
    fault = fault_of_file(path)
    if fault:
        return Thumbnail(None, fault)
    try:
        if row.error is not None and Path(path).stat().st_size > _LARGEST_FAILED:
            return Thumbnail(None, "too large to show")
        decoded = decode_with_pillow(Path(path).read_bytes(), any_size=True, formats=_FORMATS)
    except OSError as error:
        return Thumbnail(None, plain_reason(error))
    except UnreadableImageError as error:
        return Thumbnail(None, str(error))
    picture = Image.fromarray(decoded.pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return Thumbnail(picture, None)


def webp(picture: Image.Image) -> bytes:
    """A thumbnail as WebP: at the quality of a photograph, or at less where it would be large."""
    data = _webp(picture, 85)
    while len(data) > MOST_BYTES:
        data = _webp(picture, 50)
        picture = picture.resize((-(-picture.width // 2), -(-picture.height // 2)))
    return data


def _webp(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    # The fastest method but one: slower ones save a tenth of the size for twice the time.
    picture.save(buffer, "WEBP", quality=quality, method=1)
    return buffer.getvalue()
