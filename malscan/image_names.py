"""Which files are taken for images, by their names."""

import os

IMAGE_SUFFIXES = frozenset(b".png .jpg .jpeg .jpe .jfif .tif .tiff .webp .bmp .dib .gif".split())

_LITTER = frozenset({"Thumbs.db", "desktop.ini", ".DS_Store", ".directory"})


def is_image_name(name: bytes) -> bool:
    """Whether a file of this name is taken for an image."""
    return not name.startswith(b".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def is_litter(name: str) -> bool:
    """Whether a file of this name is what systems leave in folders that somebody looked at."""
    return name in _LITTER or name.startswith("._")
