"""A network built from a plan, with the weights of the Keras file that the plan was read from."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from malscan.errors import MalscanError
from malscan.foreign import KerasFile
from malscan.keras_layers import ONLY_TRAINING
from malscan.keras_plan import Plan, PlannedLayer
from malscan.labels import CLASSES


def build_network(file: KerasFile, class_order: tuple[str, ...]) -> keras.Model:
    """Build the network of a Keras file in code, and put its weights into it.

    It is computed by the dtype policy in force, whatever it was trained in, and its last layer in
    float32: a probability in fewer bits would be too coarse.

    Args:
        file: the file, read and checked.
        class_order: what the outputs mean; one sigmoid output gives the probability of the
            second class, as Keras' binary mode makes it.

    Returns:
        A network that gives softmax probabilities [batch, 2] in the order of
        `malscan.labels.CLASSES`.

    Raises:
        MalscanError: Keras cannot build it, the weights do not fit it, or there is no room for a
            temporary copy of them.
    """
    try:
        with _hushed(), _copied(file) as weights:
            network = _build(file.plan, "network")
            network.load_weights(weights)
    except (MalscanError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        # Keras gives all kinds of errors, long ones; a damaged file is not the program's fault.
        reason = " ".join(str(error).split())[:200]
        raise MalscanError(f"cannot use {file.path} as a model: Keras says: {reason}") from None
    if not all(np.isfinite(variable.numpy()).all() for variable in network.weights):
        raise MalscanError(f"cannot use {file.path} as a model: its weights are not finite numbers")
    pixels = keras.Input(file.plan.input_shape)
    output = network(pixels)
    if file.plan.output_shape == (1,):
        output = keras.ops.concatenate([1 - output, output], axis=-1)
    if class_order != CLASSES:
        output = keras.ops.flip(output, axis=-1)
    return keras.Model(pixels, output)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep to ourselves what Keras tells developers about a file."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _copied(file: KerasFile) -> Iterator[Path]:
    """A copy of the bytes that were checked, for Keras to read."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            copy = Path(folder) / ("network.h5" if file.whole else "network.weights.h5")
            copy.write_bytes(file.content)
        except OSError as error:
            raise MalscanError(
                f"no temporary copy of {file.path} can be made: {error.strerror}. Set TMPDIR to a "
                "folder that can be written and has space."
            ) from None
        yield copy


def _build(plan: Plan, name: str, *, gives_output: bool = True) -> keras.Model:
    """Build a network, or a part of it; whether it is the part that gives the output."""
    last = plan.output_name if gives_output else None
    pixels = keras.Input(plan.input_shape, name=plan.input_name)
    if plan.sequential:
        chain = [_layer(layer, layer.name == last) for layer in plan.layers]
        return keras.Sequential([pixels, *chain], name=name)
    tensors = {plan.input_name: pixels}
    for layer in plan.layers:
        sources = [tensors[source] for source in layer.sources]
        built = _layer(layer, layer.name == last)
        tensors[layer.name] = built(sources if len(sources) > 1 else sources[0])
    return keras.Model(pixels, tensors[plan.output_name], name=name)


def _layer(layer: PlannedLayer, gives_output: bool) -> keras.layers.Layer:
    if layer.plan is not None:
        return _build(layer.plan, layer.name, gives_output=gives_output)
    dtype = "float32" if gives_output else None
    if layer.kind in ONLY_TRAINING:
        return layers.Identity(name=layer.name, dtype=dtype)
    return getattr(layers, layer.kind)(name=layer.name, dtype=dtype, **layer.options)
