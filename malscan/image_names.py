"""Which files are taken for images, by their names."""

import os

IMAGE_SUFFIXES = frozenset(b".png .jpg .jpeg .jpe .jfif .tif .tiff .webp .bmp .dib .gif".split())


def is_image_name(name: bytes) -> bool:
    """Whether a file of this name is taken for an image."""
    return not name.startswith(b".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
