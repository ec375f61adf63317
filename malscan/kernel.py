"""The ways to resize an image, by name."""

from enum import StrEnum


class Kernel(StrEnum):
    """Ways to resize an image."""

    BILINEAR = "bilinear"
    AREA = "area"
    PILLOW_NEAREST = "pillow-nearest"
