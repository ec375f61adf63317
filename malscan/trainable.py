"""Architectures made of Keras layers, which can be trained; see `malscan.networks`."""

from typing import Any

import tensorflow as tf
from keras import layers

EPSILON = 1e-3
"""Batch normalisation's term against division by zero; folding needs the same."""


class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalisation as one operation while training, instead of Keras' dozen.

    The moving variance is the unbiased one; over the thousands of pixels of a batch that is the
    same within a thousandth.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalise a batch [batch, height, width, channels]."""
        if not training:
            return super().call(inputs, training=training, mask=mask)
        scale, offset = (tf.convert_to_tensor(weight.value) for weight in (self.gamma, self.beta))
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(scale, tf.float32),
            offset=tf.cast(offset, tf.float32),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
        )
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs


class LayerMaker:
    """Makes the parts of an architecture of Keras layers; see `malscan.networks.Maker`."""

    def __init__(self, *, folded: bool) -> None:
        """Choose what is made.

        Args:
            folded: leave batch normalisation out; for weights that have it folded in.
        """
        self._folded = folded
        # Drawing weights that are replaced at once would take a tenth of a second.
        self._start = "zeros" if folded else "he_normal"
        self._plain_start = "zeros" if folded else "glorot_uniform"

    def convolution(
        self,
        x: Any,
        filters: int,
        name: str,
        *,
        kernel: int = 3,
        strides: int = 1,
        activate: bool = True,
    ) -> Any:
        """See `Maker`."""
        x = layers.Conv2D(
            filters,
            kernel,
            strides,
            "same",
            use_bias=self._folded,
            name=name,
            kernel_initializer=self._start,
        )(x)
        if not self._folded:
            x = FusedBatchNormalization(momentum=0.98, epsilon=EPSILON, name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if activate else x

    def sum(self, x: Any, y: Any, name: str) -> Any:
        """See `Maker`."""
        return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))

    def mean_and_maximum(self, x: Any) -> Any:
        """See `Maker`."""
        mean = layers.GlobalAveragePooling2D(name="mean")(x)
        return layers.Concatenate(name="pooled")(
            [mean, layers.GlobalMaxPooling2D(name="maximum")(x)]
        )

    def plain_convolution(self, x: Any, filters: int, name: str) -> Any:
        """See `Maker`."""
        return layers.Conv2D(
            filters, 3, activation="relu", name=name, kernel_initializer=self._plain_start
        )(x)

    def halved(self, x: Any, name: str) -> Any:
        """See `Maker`."""
        return layers.MaxPooling2D(2, name=name)(x)

    def flattened(self, x: Any) -> Any:
        """See `Maker`."""
        return layers.Flatten(name="flatten")(x)

    def dropout(self, x: Any, rate: float) -> Any:
        """See `Maker`."""
        return layers.Dropout(rate, name="dropout")(x)

    def dense(self, x: Any, units: int, name: str) -> Any:
        """See `Maker`."""
        return layers.Dense(
            units, activation="relu", name=name, kernel_initializer=self._plain_start
        )(x)

    def probabilities(self, x: Any, *, undecided: bool = False) -> Any:
        """See `Maker`."""
        return layers.Dense(
            2,
            activation="softmax",
            dtype="float32",
            name="probabilities",
            kernel_initializer="zeros" if undecided else self._plain_start,
        )(x)
