"""Network architectures: `compact`, the default, `swift`, and `baseline`, the notebook's CNN.

Every network maps float32 pixels [batch, size, size, 3] in 0..1 to softmax probabilities
[batch, 2] in the order of `malscan.labels.CLASSES`. An architecture is written once, and made of
Keras layers to be trained, or of plain operations to be computed (`malscan.operations`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from malscan.kernel import Kernel
from malscan.operations import OperationMaker, Weights
from malscan.preprocess import Preprocessing
from malscan.trainable import EPSILON, LayerMaker


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


class Maker(Protocol):
    """Makes the parts that architectures are put together from, of one kind of tensors."""

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
        """A convolution that keeps its input's size but for strides, normalised, with ReLU."""
        ...

    def sum(self, x: Any, y: Any, name: str) -> Any:
        """The sum of two tensors, with ReLU."""
        ...

    def mean_and_maximum(self, x: Any) -> Any:
        """The mean of each channel and, behind them, the maximum of each."""
        ...

    def plain_convolution(self, x: Any, filters: int, name: str) -> Any:
        """A convolution by 3 x 3 that takes off a pixel on each side, with ReLU."""
        ...

    def halved(self, x: Any, name: str) -> Any:
        """The maximum of each 2 x 2 pixels."""
        ...

    def flattened(self, x: Any) -> Any:
        """All values of an image in a row."""
        ...

    def dropout(self, x: Any, rate: float) -> Any:
        """While training, a share `rate` of the values is 0."""
        ...

    def dense(self, x: Any, units: int, name: str) -> Any:
        """A dense layer with ReLU."""
        ...

    def probabilities(self, x: Any, *, undecided: bool = False) -> Any:
        """A dense layer to the softmax probabilities of both classes, in float32.

        Undecided, training starts from a half for each class, whatever the cell.
        """
        ...


@dataclass(frozen=True, slots=True)
class Network:
    """An architecture that `train` can build and a model folder can name.

    Attributes:
        name: what it is called on the command line and in `model.json`.
        preprocessing: the input it is made for.
        architecture: from a maker and pixels to probabilities.
        wide: whether its layers are wide enough to gain from fast bfloat16.
    """

    name: str
    preprocessing: Preprocessing
    architecture: Callable[[Maker, Any], Any]
    wide: bool = False

    def build(self, *, folded: bool = False) -> keras.Model:
        """Make the untrained network.

        Args:
            folded: leave batch normalisation out; for weights from `fold`.
        """
        image = keras.Input((self.preprocessing.size, self.preprocessing.size, 3), name="pixels")
        out = self.architecture(LayerMaker(folded=folded), image)
        return keras.Model(image, out, name=self.name)

    def compute(self, pixels: tf.Tensor, weights: Weights, dtype: str) -> tf.Tensor:
        """Compute the network in the graph.

        Args:
            pixels: float32 [batch, size, size, 3].
            weights: without batch normalisation.
            dtype: numbers to compute in.

        Raises:
            MalscanError: the weights do not fit.
        """
        found = self.architecture(OperationMaker(weights, dtype), pixels)
        weights.check_all_taken()
        return found


def baseline(make: Maker, x: Any) -> Any:
    """The notebook's CNN: four blocks of convolution and max-pooling, 1,900,098 parameters."""
    for number, filters in enumerate((64, 64, 128, 128), start=1):
        x = make.plain_convolution(x, filters, f"conv{number}")
        x = make.halved(x, f"pool{number}")
    x = make.dropout(make.flattened(x), 0.5)
    return make.probabilities(make.dense(x, 512, "dense"))


def compact(make: Maker, x: Any) -> Any:
    """A small residual network for 64 x 64 pixels, cheap enough for two CPU cores.

    Resolution falls fast (the first convolution and the start of each stage have stride 2),
    so that most parameters work on small maps; widths are multiples of 16, since a vector unit
    takes as long for 24 channels as for 32. Average and maximum pooling are joined: the
    mean sees stain and texture, the maximum a parasite that covers a hundredth of the cell.
    """
    x = make.convolution(x, 16, "stem", kernel=4, strides=2)
    for stage, filters in enumerate((32, 64, 128), start=1):
        x = make.convolution(x, filters, f"stage{stage}_down", strides=2)
        x = _residual(make, x, filters, f"stage{stage}")
    return _head(make, x)


def swift(make: Maker, x: Any) -> Any:
    """A residual network for 48 x 48 pixels: half the work of `compact`, and more weights.

    The first stage only halves the resolution, and the last has two blocks: a block on 3 x 3
    places costs no more than one with a quarter of its weights on 6 x 6.
    """
    x = make.convolution(x, 16, "stem", kernel=4, strides=2)
    x = make.convolution(x, 32, "stage1_down", strides=2)
    x = make.convolution(x, 64, "stage2_down", strides=2)
    x = _residual(make, x, 64, "stage2")
    x = make.convolution(x, 128, "stage3_down", strides=2)
    x = _residual(make, x, 128, "stage3")
    x = _residual(make, x, 128, "stage3_more")
    return _head(make, x)


def _residual(make: Maker, x: Any, filters: int, name: str) -> Any:
    """A residual block of two convolutions; He et al. 2016, Deep Residual Learning."""
    y = make.convolution(x, filters, f"{name}_a")
    y = make.convolution(y, filters, f"{name}_b", activate=False)
    return make.sum(x, y, name)


def _head(make: Maker, x: Any) -> Any:
    """Probabilities from the mean and the maximum of each channel.

    Maxima are large: with weights drawn at random, training spends its first two epochs on
    getting rid of what they say.
    """
    return make.probabilities(make.dropout(make.mean_and_maximum(x), 0.2), undecided=True)


def fold(trained: keras.Model, network: Network) -> keras.Model:
    """Fold batch normalisation into the convolutions: the same function at less cost.

    With scale g, shift b, moving mean m and variance v, `g (w x - m) / sqrt(v + e) + b` is a
    convolution with kernel `w g / sqrt(v + e)` and bias `b - m g / sqrt(v + e)`.

    Args:
        trained: a network from `network.build()`.
        network: its description.

    Returns:
        A network from `network.build(folded=True)` that computes what `trained` does in inference.
    """
    folded = network.build(folded=True)
    for layer in folded.layers:
        source = trained.get_layer(layer.name) if layer.weights else None
        if source is None:
            continue
        weights = source.get_weights()
        if len(weights) < len(layer.get_weights()):
            gamma, beta, mean, variance = trained.get_layer(f"{layer.name}_norm").get_weights()
            scale = gamma / np.sqrt(variance + EPSILON)
            weights = [weights[0] * scale, beta - mean * scale]
        layer.set_weights(weights)
    return folded


def layer_table(network: keras.Model) -> list[Layer]:
    """What a network is made of, in the order of its layers."""
    return [
        Layer(layer.name, type(layer).__name__, tuple(layer.output.shape[1:]), layer.count_params())
        for layer in network.layers
    ]


BASELINE_PREPROCESSING = Preprocessing(125, Kernel.PILLOW_NEAREST)
COMPACT_PREPROCESSING = Preprocessing(64, Kernel.AREA)
SWIFT_PREPROCESSING = Preprocessing(48, Kernel.AREA)

NETWORKS = {
    "compact": Network("compact", COMPACT_PREPROCESSING, compact),
    "swift": Network("swift", SWIFT_PREPROCESSING, swift),
    "baseline": Network("baseline", BASELINE_PREPROCESSING, baseline, wide=True),
}
