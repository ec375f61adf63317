"""Network architectures: `compact`, the default, `swift`, and `baseline`, the notebook's CNN.

Every network maps float32 pixels [batch, size, size, 3] in 0..1 to softmax probabilities
[batch, 2] in the order of `malscan.labels.CLASSES`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from malscan.kernel import Kernel
from malscan.preprocess import Preprocessing

_EPSILON = 1e-3
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


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the layer table.

    Attributes:
        name: of the layer.
        kind: class of the layer.
        shape: of its output for one image.
        parameters: number of weights.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True, slots=True)
class Network:
    """An architecture that `train` can build and a model folder can name.

    Attributes:
        name: what it is called on the command line and in `model.json`.
        preprocessing: the input it is made for.
        build: makes the untrained network.
        build_folded: makes the same network without batch normalisation, for inference.
        wide: whether its layers are wide enough to gain from matrix units for bfloat16.
    """

    name: str
    preprocessing: Preprocessing
    build: Callable[[], keras.Model]
    build_folded: Callable[[], keras.Model]
    wide: bool = False


def baseline() -> keras.Model:
    """The notebook's CNN: four blocks of convolution and max-pooling, 1,900,098 parameters."""
    size = BASELINE_PREPROCESSING.size
    network = keras.Sequential(name="baseline")
    network.add(keras.Input((size, size, 3)))
    for number, filters in enumerate((64, 64, 128, 128), start=1):
        network.add(layers.Conv2D(filters, 3, activation="relu", name=f"conv{number}"))
        network.add(layers.MaxPooling2D(2, name=f"pool{number}"))
    network.add(layers.Flatten(name="flatten"))
    network.add(layers.Dropout(0.5, name="dropout"))
    network.add(layers.Dense(512, activation="relu", name="dense"))
    network.add(layers.Dense(2, activation="softmax", dtype="float32", name="probabilities"))
    return network


def compact(*, folded: bool = False) -> keras.Model:
    """A small residual network for 64 x 64 pixels, cheap enough for two CPU cores.

    Resolution falls fast (the first convolution and the start of each stage have stride 2),
    so that most parameters work on small maps; widths are multiples of 16, since a vector unit
    takes as long for 24 channels as for 32. Average and maximum pooling are joined: the
    mean sees stain and texture, the maximum a parasite that covers a hundredth of the cell.

    Args:
        folded: leave batch normalisation out; for weights from `fold`.
    """
    size = COMPACT_PREPROCESSING.size
    image = keras.Input((size, size, 3), name="pixels")
    x = _convolution(image, 16, "stem", kernel=4, strides=2, folded=folded)
    for stage, filters in enumerate((32, 64, 128), start=1):
        x = _convolution(x, filters, f"stage{stage}_down", strides=2, folded=folded)
        x = _residual(x, f"stage{stage}", folded=folded)
    return _with_head(image, x, "compact")


def swift(*, folded: bool = False) -> keras.Model:
    """A residual network for 48 x 48 pixels: half the work of `compact`, and more weights.

    The first stage only halves the resolution, and the last has two blocks: a block on 3 x 3
    places costs no more than one with a quarter of its weights on 6 x 6.

    Args:
        folded: leave batch normalisation out; for weights from `fold`.
    """
    size = SWIFT_PREPROCESSING.size
    image = keras.Input((size, size, 3), name="pixels")
    x = _convolution(image, 16, "stem", kernel=4, strides=2, folded=folded)
    x = _convolution(x, 32, "stage1_down", strides=2, folded=folded)
    x = _convolution(x, 64, "stage2_down", strides=2, folded=folded)
    x = _residual(x, "stage2", folded=folded)
    x = _convolution(x, 128, "stage3_down", strides=2, folded=folded)
    x = _residual(x, "stage3", folded=folded)
    x = _residual(x, "stage3_more", folded=folded)
    return _with_head(image, x, "swift")


def _residual(x: keras.KerasTensor, name: str, *, folded: bool) -> keras.KerasTensor:
    """A residual block of two convolutions; He et al. 2016, Deep Residual Learning."""
    filters = x.shape[-1]
    y = _convolution(x, filters, f"{name}_a", folded=folded)
    y = _convolution(y, filters, f"{name}_b", activate=False, folded=folded)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))


def _with_head(image: keras.KerasTensor, x: keras.KerasTensor, name: str) -> keras.Model:
    """The network that ends with the mean and the maximum of each channel."""
    pooled = layers.Concatenate(name="pooled")(
        [
            layers.GlobalAveragePooling2D(name="mean")(x),
            layers.GlobalMaxPooling2D(name="maximum")(x),
        ]
    )
    pooled = layers.Dropout(0.2, name="dropout")(pooled)
    out = layers.Dense(2, activation="softmax", dtype="float32", name="probabilities")(pooled)
    return keras.Model(image, out, name=name)


def fold(trained: keras.Model, network: Network) -> keras.Model:
    """Fold batch normalisation into the convolutions: the same function at less cost.

    With scale g, shift b, moving mean m and variance v, `g (w x - m) / sqrt(v + e) + b` is a
    convolution with kernel `w g / sqrt(v + e)` and bias `b - m g / sqrt(v + e)`.

    Args:
        trained: a network from `network.build()`.
        network: its description.

    Returns:
        A network from `network.build_folded()` that computes what `trained` does in inference.
    """
    folded = network.build_folded()
    for layer in folded.layers:
        source = trained.get_layer(layer.name) if layer.weights else None
        if source is None:
            continue
        weights = source.get_weights()
        if len(weights) < len(layer.get_weights()):
            gamma, beta, mean, variance = trained.get_layer(f"{layer.name}_norm").get_weights()
            scale = gamma / np.sqrt(variance + _EPSILON)
            weights = [weights[0] * scale, beta - mean * scale]
        layer.set_weights(weights)
    return folded


def layer_table(network: keras.Model) -> list[Layer]:
    """What a network is made of, in the order of its layers."""
    return [
        Layer(layer.name, type(layer).__name__, tuple(layer.output.shape[1:]), layer.count_params())
        for layer in network.layers
    ]


def _convolution(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    *,
    kernel: int = 3,
    strides: int = 1,
    activate: bool = True,
    folded: bool,
) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters, kernel, strides, "same", use_bias=folded, name=name, kernel_initializer="he_normal"
    )(x)
    if not folded:
        x = FusedBatchNormalization(momentum=0.98, epsilon=_EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activate else x


BASELINE_PREPROCESSING = Preprocessing(125, Kernel.PILLOW_NEAREST)
COMPACT_PREPROCESSING = Preprocessing(64, Kernel.AREA)
SWIFT_PREPROCESSING = Preprocessing(48, Kernel.AREA)

NETWORKS = {
    "compact": Network(
        "compact",
        COMPACT_PREPROCESSING,
        build=compact,
        build_folded=lambda: compact(folded=True),
    ),
    "swift": Network(
        "swift",
        SWIFT_PREPROCESSING,
        build=swift,
        build_folded=lambda: swift(folded=True),
    ),
    "baseline": Network(
        "baseline", BASELINE_PREPROCESSING, build=baseline, build_folded=baseline, wide=True
    ),
}
