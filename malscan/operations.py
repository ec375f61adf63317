"""Architectures made of plain operations, to be computed only; see `malscan.networks`.

Keras takes a fifth of a second to build a small network, a tenth of the time to scan one image.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.errors import MalscanError
from malscan.model import Model


class Weights:
    """The weights of a model, handed out once each, after a look at them."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._left = dict(model.weights)

    def take(self, path: str, shape: Sequence[int]) -> npt.NDArray[np.float32]:
        """Finite weights of a shape.

        Raises:
            MalscanError: there are none of this name and shape, or they are not finite.
        """
        array = self._left.pop(path, None)
        if array is None or array.dtype != np.float32 or array.shape != tuple(shape):
            raise self._misfit()
        if not np.isfinite(array).all():
            raise MalscanError(
                f"model {self._model.name}: the weights {path} are not finite numbers"
            )
        return array

    def check_all_taken(self) -> None:
        """Make sure that the network has a place for every array.

        Raises:
            MalscanError: it has not.
        """
        if self._left:
            raise self._misfit()

    def _misfit(self) -> MalscanError:
        return MalscanError(
            f"model {self._model.name}: the weights do not fit the network "
            f"{self._model.network!r}. Train the model again with this version of malscan."
        )


class OperationMaker:
    """Makes the parts of an architecture of operations on weights without batch normalisation.

    On a processor, results are those of `malscan.trainable.LayerMaker` to the bit.
    """

    def __init__(self, weights: Weights, dtype: str) -> None:
        """Choose what is made.

        Args:
            weights: of the network.
            dtype: numbers to compute in; the last layer is computed in float32.
        """
        self._weights = weights
        self._dtype = dtype

    def convolution(
        self,
        x: tf.Tensor,
        filters: int,
        name: str,
        *,
        kernel: int = 3,
        strides: int = 1,
        activate: bool = True,
    ) -> tf.Tensor:
        """See `Maker`."""
        x = self._convolved(x, filters, name, kernel, strides, "SAME")
        return tf.nn.relu(x) if activate else x

    def sum(self, x: tf.Tensor, y: tf.Tensor, name: str) -> tf.Tensor:
        """See `Maker`."""
        return tf.nn.relu(x + y)

    def mean_and_maximum(self, x: tf.Tensor) -> tf.Tensor:
        """See `Maker`."""
        # A mean of few bits would lose some; this is how Keras takes it.
        mean = tf.reduce_mean(tf.cast(x, tf.float32), axis=[1, 2])
        return tf.concat([tf.cast(mean, x.dtype), tf.reduce_max(x, axis=[1, 2])], axis=1)

    def plain_convolution(self, x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
        """See `Maker`."""
        return tf.nn.relu(self._convolved(x, filters, name, 3, 1, "VALID"))

    def halved(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """See `Maker`."""
        return tf.nn.max_pool2d(x, 2, 2, "VALID")

    def flattened(self, x: tf.Tensor) -> tf.Tensor:
        """See `Maker`."""
        return tf.reshape(x, [-1, int(np.prod(x.shape[1:]))])

    def dropout(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        """See `Maker`."""
        return x

    def dense(self, x: tf.Tensor, units: int, name: str) -> tf.Tensor:
        """See `Maker`."""
        return tf.nn.relu(self._multiplied(x, units, name, self._dtype))

    def probabilities(self, x: tf.Tensor, *, undecided: bool = False) -> tf.Tensor:
        """See `Maker`."""
        return tf.nn.softmax(self._multiplied(x, 2, "probabilities", "float32"))

    def _convolved(
        self, x: tf.Tensor, filters: int, name: str, side: int, strides: int, padding: str
    ) -> tf.Tensor:
        # A part of the graph: one that comes from outside is laid out anew in each step.
        kernel = self._weight(f"{name}/kernel", (side, side, x.shape[-1], filters), self._dtype)
        bias = self._weight(f"{name}/bias", (filters,), self._dtype)
        x = tf.nn.conv2d(tf.cast(x, self._dtype), kernel, strides, padding)
        return tf.nn.bias_add(x, bias)

    def _multiplied(self, x: tf.Tensor, units: int, name: str, dtype: str) -> tf.Tensor:
        # Outside of the graph, as in Keras: the product with one inside differs in the last bit.
        with tf.init_scope():
            kernel = self._weight(f"{name}/kernel", (x.shape[-1], units), dtype)
            bias = self._weight(f"{name}/bias", (units,), dtype)
        return tf.nn.bias_add(tf.cast(x, dtype) @ kernel, bias)

    def _weight(self, path: str, shape: Sequence[int], dtype: str) -> Any:
        return tf.cast(tf.constant(self._weights.take(path, shape)), dtype)
