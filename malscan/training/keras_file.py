"""A trained network as a Keras file, for other programs."""

import logging
from contextlib import suppress
from pathlib import Path

import keras

from malscan.errors import MalscanError
from malscan.training.recipe import Recipe


def write_h5(path: Path, trained: keras.Model, recipe: Recipe) -> None:
    """Write a network in Keras' HDF5 format, whole or not at all.

    It takes float pixels 0..1 at the network's size and gives softmax probabilities in the
    order parasitized, uninfected: without the temperature that malscan applies.

    Args:
        path: name ending in `.h5`.
        trained: the network for inference.
        recipe: how it was trained, for whoever wants to go on in Keras.

    Raises:
        MalscanError: it cannot be written.
    """
    trained.compile(str(recipe.optimizer), "categorical_crossentropy", metrics=["accuracy"])
    partial = path.with_name(f".{path.stem}.partial.h5")
    # Keras advises against the format, which is the one that was asked for.
    logger, level = logging.getLogger("absl"), logging.getLogger("absl").level
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        logger.setLevel(logging.ERROR)
        trained.save(partial)
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or "no space, or no right to write"
        raise MalscanError(
            f"cannot write {path}: {reason}. The training is kept: the same command goes on."
        ) from None
    finally:
        logger.setLevel(level)
        with suppress(OSError):
            partial.unlink()
