"""Versions of what computes."""

from importlib.metadata import version

from malscan import __version__


def versions() -> dict[str, str]:
    """Versions of malscan, TensorFlow and Keras, without loading any of them."""
    return {
        "malscan": __version__,
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
    }
