"""Versions of what computes."""

from functools import cache
from importlib.metadata import version

from malscan import __version__

version_of = cache(version)
"""Version of an installed package, looked up once."""


def versions() -> dict[str, str]:
    """Versions of malscan, TensorFlow and Keras, without loading any of them."""
    return {
        "malscan": __version__,
        "tensorflow": version_of("tensorflow"),
        "keras": version_of("keras"),
    }
