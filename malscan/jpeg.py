"""Whether a JPEG holds all of its picture, which libjpeg itself only warns about.

A file that was cut and then closed with an end marker, as transfer and repair programs do, is
filled up with grey by nearly every decoder. libjpeg-turbo stops at such a warning if it is asked
to, which neither Pillow nor TensorFlow do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg

JPEG_START = b"\xff\xd8\xff"

_END = 0xD9
_START_OF_SCAN = 0xDA
_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_COEFFICIENTS = 64
_ARITHMETIC = range(0xC9, 0xD0)
_JFIF = 0xE0
_CORRUPT = "Corrupt JPEG data: "
_MOST_MENDED = 3
"""Complaints about a file that may be harmless; there are three kinds of them."""
_SAMPLING = "Could not determine subsampling"
_SEQUENTIAL = b"\x00\x3f\x00"
"""What the parameters of a scan that is not progressive can only be."""
_NOTHING_YET = 16
"""More than the lowest bit that any scan may start with."""

_ONE_SCAN_OF_ALL = b"\xff\xda\x00\x0c\x03"
_NOT_PLAIN = (b"\xff\xc2", b"\xff\xc9", b"\xff\xca", b"Exif\x00\x00", b"MPF\x00")


def is_plain_jpeg(data: bytes) -> bool:
    """Whether a JPEG is of the common kind that `read_strictly` alone can vouch for.

    Three components in one scan, no EXIF block (it could ask for a rotation), no second picture.
    """
    head = data[: max(data.find(_ONE_SCAN_OF_ALL), 0)]
    return bool(head) and not any(mark in head for mark in _NOT_PLAIN)


def size_of_jpeg(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header; None where libjpeg-turbo refuses it."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except (ValueError, KeyError):
        # KeyError: a sampling of colours that it has no name for.
        return None
    return width, height


def read_strictly(data: bytes) -> npt.NDArray[np.uint8] | None:
    """Decode a JPEG of which libjpeg has nothing to complain.

    Returns:
        uint8 [height, width, 3], RGB, the pixels that Pillow gives, not turned; None where
        there is a complaint.
    """
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB")
    except (ValueError, KeyError):
        return None
    return pixels


def fault_of_jpeg(data: bytes) -> str | None:
    """Why a JPEG that Pillow decodes must not be trusted; None if it is whole.

    Complaints that say nothing of the picture (padding before the end marker, an unknown JFIF
    revision, odd scan parameters of a file that has none) are no fault. libjpeg stops at the
    first complaint, so what it is about is taken out and the rest is read again.
    """
    segments = list(_segments(data))
    if not segments or segments[-1].marker != _END:
        return "truncated: the JPEG has no end marker"
    try:
        if _lacks_scans(segments):
            return "truncated: the JPEG ends before its last scan"
    except (IndexError, KeyError, ValueError):
        return "damaged: a segment of the JPEG is garbled"
    if any(segment.marker in _ARITHMETIC and segment.marker != 0xCC for segment in segments):
        return "damaged, or an arithmetic-coded JPEG, which is not taken"
    complaint = _complaint(data)
    for _ in range(_MOST_MENDED):
        mended = None if complaint is None else _mended(complaint, data)
        if mended is None:
            break
        data, complaint = mended, _complaint(mended)
    return None if complaint is None else _in_words(complaint)


def _complaint(data: bytes) -> str | None:
    """What libjpeg-turbo complains of first; None if of nothing."""
    try:
        simplejpeg.decode_jpeg(data, "RGB")
    except ValueError as error:
        return str(error)
    except KeyError:
        return _SAMPLING
    return None


def _in_words(complaint: str) -> str:
    if "premature end" in complaint.lower():
        return "truncated: the JPEG data end before the picture is complete"
    if _SAMPLING in complaint:
        return (
            "its colours are sampled in a way that cannot be checked for damage. Save it as PNG, "
            "or as JPEG with 4:4:4, 4:2:2 or 4:2:0"
        )
    return f"damaged: {complaint.removeprefix(_CORRUPT)} in the JPEG data"


def _mended(complaint: str, data: bytes) -> bytes | None:
    """The file without what a complaint is about, where that says nothing of the picture."""
    segments = list(_segments(data))
    padding = re.fullmatch(r".* (\d+) extraneous bytes before marker 0xd9", complaint)
    if padding is not None:
        end = segments[-1].start
        start = end - int(padding[1])
        return data[:start] + data[end:] if len(set(data[start:end])) == 1 else None
    if "JFIF revision" in complaint:
        kept = [segment for segment in segments if segment.marker == _JFIF]
        for segment in reversed(kept):
            data = data[: segment.start] + data[segment.end :]
        return data
    if complaint.startswith("Invalid SOS parameters"):
        for segment in segments:
            if segment.marker == _START_OF_SCAN:
                data = data[: segment.end - 3] + _SEQUENTIAL + data[segment.end :]
        return data
    return None


@dataclass(frozen=True, slots=True)
class _Segment:
    """A marker, what its segment holds, and where both lie in the file."""

    marker: int
    held: bytes
    start: int
    end: int


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments of a JPEG, up to the end marker or the last byte.

    A plain search would be fooled by the end marker of an embedded thumbnail.
    """
    offset = 2
    while (offset := data.find(b"\xff", offset)) >= 0 and offset + 1 < len(data):
        marker = data[offset + 1]
        if marker == _END:
            yield _Segment(marker, b"", offset, offset + 2)
            return
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            offset += 1 if marker == 0xFF else 2
            continue
        end = offset + 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        yield _Segment(marker, data[offset + 4 : end], offset, end)
        offset = max(end, offset + 2)


def _lacks_scans(segments: list[_Segment]) -> bool:
    """Whether a coefficient of a component has not arrived in full, to its lowest bit.

    A progressive JPEG sends each coefficient in several scans, from high bits to low (ITU-T T.81,
    annex G); others may send each component in a scan of its own.
    """
    lowest: dict[int, list[int]] = {}
    progressive = False
    for segment in segments:
        marker, held = segment.marker, segment.held
        if marker in _STARTS_OF_FRAME:
            progressive = marker in _PROGRESSIVE
            lowest = {held[6 + 3 * n]: [_NOTHING_YET] * _COEFFICIENTS for n in range(held[5])}
        elif marker == _START_OF_SCAN:
            count = held[0]
            first, last, bits = held[1 + 2 * count : 4 + 2 * count]
            sent = range(first, last + 1) if progressive else range(_COEFFICIENTS)
            for component in held[1 : 1 + 2 * count : 2]:
                for coefficient in sent:
                    lowest[component][coefficient] = bits & 15 if progressive else 0
    return any(any(bits) for bits in lowest.values())
