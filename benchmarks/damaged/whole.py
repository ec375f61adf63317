"""Undamaged files of every kind that cell images may come in, drawn and encoded here."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from draw_cells import draw_cell
from numpy.typing import NDArray
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGBA: (8, 16),
}
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)

Samples = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Whole:
    """An undamaged file.

    Attributes:
        variety: what kind of file it is, such as `JPEG, progressive`.
        suffix: of its name.
        data: its bytes.
    """

    variety: str
    suffix: str
    data: bytes

    @property
    def family(self) -> str:
        """The format alone, such as `JPEG`."""
        return self.variety.partition(",")[0]


def chunk(kind: bytes, held: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    return struct.pack(">I", len(held)) + kind + held + struct.pack(">I", zlib.crc32(kind + held))


def whole_files(rng: np.random.Generator) -> list[Whole]:
    """One file of each variety, each of another cell."""
    return [*_pngs(rng), *_jpegs(rng), *_tiffs(rng), *_others(rng)]


def cell(rng: np.random.Generator) -> Image.Image:
    """A small drawn cell: small, so that thousands of files are judged in a minute."""
    return draw_cell(rng, bool(rng.integers(2)), size=int(rng.integers(20, 56)))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """An image as Pillow writes it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _pngs(rng: np.random.Generator) -> list[Whole]:
    found = []
    for colour, depths in DEPTHS.items():
        for depth in depths:
            for interlaced in (False, True):
                for clear in (False, True) if colour in (GREY, RGB, PALETTE) else (False,):
                    name = f"PNG, colour type {colour}, {depth} bits"
                    name += ", interlaced" * interlaced + ", tRNS" * clear
                    data = png(np.asarray(cell(rng)), colour, depth, interlaced, clear)
                    found.append(Whole(name, "png", data))
    plain = encoded(cell(rng), "PNG")
    text = chunk(b"tEXt", b"Comment\0stained slide")
    split = split_idat(plain, 3)
    return [
        *found,
        *(Whole("PNG, as Pillow writes it", "png", encoded(cell(rng), "PNG")) for _ in range(8)),
        Whole("PNG, with text and density", "png", plain[:33] + text + plain[33:]),
        Whole("PNG, picture in several chunks", "png", split),
        Whole("PNG, text after the picture", "png", plain[:-12] + text + plain[-12:]),
        Whole("PNG, named as JPEG", "jpg", plain),
    ]


def png(pixels: NDArray[np.uint8], colour: int, depth: int, interlaced: bool, clear: bool) -> bytes:
    """A PNG of any colour type and depth; `clear` makes one colour transparent."""
    grey = pixels.mean(axis=2, keepdims=True).astype(np.uint8)
    alpha = np.where(grey > 0, 255, 128).astype(np.uint8)
    eight = {
        GREY: grey,
        RGB: pixels,
        PALETTE: grey,
        GREY_ALPHA: np.concatenate([grey, alpha], 2),
        RGBA: np.concatenate([pixels, alpha], 2),
    }[colour]
    samples = eight * np.uint16(257) if depth == 16 else (eight >> (8 - depth)).astype(np.uint16)
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    extra = b""
    if colour == PALETTE:
        levels = np.linspace(0, 255, 2**depth).astype(np.uint8)
        extra = chunk(b"PLTE", np.stack([levels, levels // 2, levels[::-1]], 1).tobytes())
    if clear:
        extra += chunk(b"tRNS", bytes({GREY: 2, RGB: 6, PALETTE: 1}[colour]))
    raw = packed_rows(samples, depth, interlaced)
    picture = chunk(b"IDAT", zlib.compress(raw))
    return SIGNATURE + chunk(b"IHDR", header) + extra + picture + chunk(b"IEND", b"")


def packed_rows(samples: Samples, depth: int, interlaced: bool) -> bytes:
    """The rows of a PNG before compression, unfiltered."""
    raw = b""
    for left, top, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        for row in samples[top::down, left::across]:
            if not row.size:
                continue
            if depth >= 8:
                held = row.astype(">u2" if depth == 16 else "u1").tobytes()
            else:
                bits = (row.reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1
                held = np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()
            raw += b"\0" + held
    return raw


def split_idat(data: bytes, parts: int) -> bytes:
    """The same PNG with its picture in several chunks; it must have three chunks."""
    held = data[41:-16]
    size = -(-len(held) // parts)
    pieces = [chunk(b"IDAT", held[start : start + size]) for start in range(0, len(held), size)]
    return data[:33] + b"".join(pieces) + data[-12:]


def _exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def _jpegs(rng: np.random.Generator) -> list[Whole]:
    options: dict[str, dict[str, Any]] = {
        "4:4:4": {"subsampling": "4:4:4"},
        "4:2:2": {"subsampling": "4:2:2"},
        "4:2:0": {"subsampling": "4:2:0"},
        "optimized": {"optimize": True, "quality": 95},
        "restarts": {"restart_marker_blocks": 2},
        "progressive": {"progressive": True},
        "progressive restarts": {"progressive": True, "restart_marker_rows": 1},
        "RGB": {"keep_rgb": True},
        "EXIF": {"exif": _exif(6)},
        "low quality": {"quality": 10},
        "high quality": {"quality": 100},
        "comment": {"comment": b"<script>alert(1)</script>"},
    }
    found = [(name, cell(rng), held) for name, held in options.items()]
    for mode in ("L", "CMYK"):
        found.append((mode, cell(rng).convert(mode), {}))
        found.append((f"{mode} progressive", cell(rng).convert(mode), {"progressive": True}))
    return [
        Whole(f"JPEG, {name}", "jpg", encoded(image, "JPEG", **held)) for name, image, held in found
    ]


def _tiffs(rng: np.random.Generator) -> list[Whole]:
    makers: dict[str, Callable[[Image.Image], bytes]] = {
        "plain": lambda image: encoded(image, "TIFF"),
        "LZW": lambda image: encoded(image, "TIFF", compression="tiff_lzw"),
        "deflate": lambda image: encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "packbits": lambda image: encoded(image, "TIFF", compression="packbits"),
        "JPEG": lambda image: encoded(image, "TIFF", compression="jpeg"),
        "grey": lambda image: encoded(image.convert("L"), "TIFF"),
        "black and white": lambda image: encoded(image.convert("1"), "TIFF"),
        "palette": lambda image: encoded(image.convert("P"), "TIFF"),
        "CMYK": lambda image: encoded(image.convert("CMYK"), "TIFF"),
        "alpha": lambda image: encoded(image.convert("RGBA"), "TIFF"),
        "16-bit grey": lambda image: encoded(_deep_grey(image), "TIFF"),
        "turned": lambda image: encoded(image, "TIFF", exif=_exif(8)),
        "several strips": lambda image: encoded(image, "TIFF", strip_size=2048),
        "big-endian": lambda image: big_endian_tiff(np.asarray(image)),
    }
    return [Whole(f"TIFF, {name}", "tif", make(cell(rng))) for name, make in makers.items()]


def _deep_grey(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")) * np.uint16(257))


def big_endian_tiff(pixels: NDArray[np.uint8]) -> bytes:
    """An uncompressed RGB TIFF of one strip as a Macintosh or a microscope would write it."""
    height, width, _ = pixels.shape
    entries = [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8 + 2 + 12 * 9 + 4)),
        *((259, 3, 1, 1 << 16), (262, 3, 1, 2 << 16), (273, 4, 1, 134)),
        *((277, 3, 1, 3 << 16), (278, 4, 1, height), (279, 4, 1, pixels.size)),
    ]
    head = b"MM\0*" + struct.pack(">IH", 8, len(entries))
    head += b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4)
    return (head + struct.pack(">3H", 8, 8, 8)).ljust(134, b"\0") + pixels.tobytes()


def _others(rng: np.random.Generator) -> list[Whole]:
    return [
        Whole("BMP, 24 bits", "bmp", encoded(cell(rng), "BMP")),
        Whole("BMP, 8 bits", "bmp", encoded(cell(rng).convert("P"), "BMP")),
        Whole("BMP, 1 bit", "bmp", encoded(cell(rng).convert("1"), "BMP")),
        Whole("GIF, one frame", "gif", encoded(cell(rng), "GIF")),
        Whole("GIF, with comment", "gif", encoded(cell(rng), "GIF", comment=b"=1+1")),
        Whole("WebP, lossy", "webp", encoded(cell(rng), "WEBP")),
        Whole("WebP, lossless", "webp", encoded(cell(rng), "WEBP", lossless=True)),
        Whole("WebP, EXIF", "webp", encoded(cell(rng), "WEBP", exif=_exif(3))),
    ]
