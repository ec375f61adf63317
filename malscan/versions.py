"""Versions of what computes."""

from functools import cache
from importlib.metadata import version

from malscan import __version__


@cache
def versions() -> dict[str, str]:
    """Versions of malscan, TensorFlow and Keras, without loading any of them."""
    return {
        "malscan": __version__,
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
    }
