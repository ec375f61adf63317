"""Tests of the network architectures."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from malscan.kernel import Kernel
from malscan.model import EMBEDDED, load_model
from malscan.networks import NETWORKS, fold
from malscan.operations import Weights
from malscan.predictor import classifier, weights_of
from malscan.trainable import FusedBatchNormalization


def pixels(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    return rng.random((4, size, size, 3), dtype=np.float32)


def randomize(network: keras.Model, rng: np.random.Generator) -> None:
    """Give every weight a random value, the statistics of batch normalisation too."""
    for weight in network.weights:
        if "variance" in weight.path or "gamma" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif weight.path.endswith("kernel"):
            weight.assign(rng.normal(0.0, np.prod(weight.shape[:-1]) ** -0.5, weight.shape))
        else:
            weight.assign(rng.normal(0.0, 0.3, weight.shape))


def test_the_baseline_has_the_parameters_of_the_notebooks_network() -> None:
    assert NETWORKS["baseline"].build().count_params() == 1_900_098


def test_the_baseline_has_exactly_the_layers_of_the_notebooks_network() -> None:
    first, *rest = NETWORKS["baseline"].build().layers
    block = [layers.Conv2D, layers.MaxPooling2D]
    head = [layers.Flatten, layers.Dropout, layers.Dense, layers.Dense]
    assert [type(layer) for layer in rest] == block * 4 + head
    assert isinstance(first, layers.InputLayer)
    assert first.batch_shape == (None, 125, 125, 3)
    convolutions, pools = rest[0:8:2], rest[1:8:2]
    assert [layer.filters for layer in convolutions] == [64, 64, 128, 128]
    for layer in convolutions:
        assert layer.kernel_size == (3, 3)
        assert layer.strides == (1, 1)
        assert layer.padding == "valid"
        assert layer.activation is keras.activations.relu
        assert layer.use_bias
    for layer in pools:
        assert (layer.pool_size, layer.strides) == ((2, 2), (2, 2))
        assert layer.padding == "valid"
    _, dropout, dense, probabilities = rest[8:]
    assert dropout.rate == 0.5
    assert (dense.units, dense.activation) == (512, keras.activations.relu)
    assert (probabilities.units, probabilities.activation) == (2, keras.activations.softmax)


def test_the_baseline_takes_the_input_of_the_notebooks_loader() -> None:
    preprocessing = NETWORKS["baseline"].preprocessing
    assert (preprocessing.size, preprocessing.kernel) == (125, Kernel.PILLOW_NEAREST)
    assert preprocessing.rescale == 1 / 255


def test_the_compact_network_has_at_most_half_a_million_parameters() -> None:
    assert 0 < NETWORKS["compact"].build().count_params() <= 500_000


def test_the_swift_network_has_more_parameters_than_compact_and_half_its_work() -> None:
    def work(network: keras.Model) -> int:
        """Multiplications of all convolutions for one image."""
        return sum(
            int(np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3]))
            for layer in network.layers
            if isinstance(layer, layers.Conv2D)
        )

    compact, swift = (NETWORKS[name].build() for name in ("compact", "swift"))
    assert compact.count_params() < swift.count_params() <= 800_000
    assert work(swift) < 0.6 * work(compact)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_takes_pixels_of_the_size_its_preprocessing_makes(name: str) -> None:
    network = NETWORKS[name]
    size = network.preprocessing.size
    for model in (network.build(), network.build(folded=True)):
        assert model.input_shape == (None, size, size, 3)
        assert model.output_shape == (None, 2)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_probabilities_that_sum_to_1(name: str, rng: np.random.Generator) -> None:
    network = NETWORKS[name]
    model = network.build()
    randomize(model, rng)
    out = np.asarray(model(pixels(rng, network.preprocessing.size), training=False))
    assert out.dtype == np.float32
    assert ((out > 0) & (out < 1)).all()
    np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_the_same_function(name: str, rng: np.random.Generator) -> None:
    network = NETWORKS[name]
    model = network.build()
    randomize(model, rng)
    images = pixels(rng, network.preprocessing.size)
    expected = np.asarray(model(images, training=False))
    assert np.ptp(expected[:, 0]) > 1e-3, "the images must not all look alike to the network"
    np.testing.assert_allclose(fold(model, network)(images, training=False), expected, atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_computed_is_what_keras_computes(
    name: str, policy: str, rng: np.random.Generator
) -> None:
    network = NETWORKS[name]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        folded = network.build(folded=True)
        dtype = keras.config.dtype_policy().compute_dtype
    finally:
        keras.config.set_dtype_policy(before)
    randomize(folded, rng)
    model = replace(load_model(EMBEDDED), network=name, weights=weights_of(folded))
    images = pixels(rng, network.preprocessing.size)

    @tf.function
    def computed(images: tf.Tensor) -> tf.Tensor:
        return network.compute(images, Weights(model), dtype)

    expected = tf.function(folded)(images).numpy()
    assert np.ptp(expected[:, 0]) > 1e-3, "the images must not all look alike to the network"
    np.testing.assert_array_equal(computed(images), expected)


@pytest.mark.parametrize("count", [1, 64, 65, 150])
def test_a_batch_is_computed_part_by_part_as_at_once_on_a_gpu(
    count: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(EMBEDDED)
    shades = np.linspace(0, 255, count).reshape(count, 1, 1, 1)
    noise = rng.integers(0, 256, (count, model.size, model.size, 3))
    images = ((shades + noise) / 2).astype(np.uint8)

    def classified() -> NDArray[np.float32]:
        def network(pixels: tf.Tensor) -> tf.Tensor:
            return NETWORKS["compact"].compute(pixels, Weights(model), "float32")

        found = classifier(network, NETWORKS["compact"].preprocessing, model.temperature)(images)
        return np.asarray(found)

    by_parts = classified()
    monkeypatch.setattr("malscan.predictor.has_gpu", lambda: True)
    at_once = classified()

    assert count == 1 or np.ptp(at_once) > 1e-3, "the images must not all look alike"
    np.testing.assert_allclose(by_parts, at_once, atol=1e-6)


@pytest.mark.parametrize("name", ["compact", "swift"])
def test_a_folded_residual_network_is_free_of_batch_normalisation(name: str) -> None:
    def normalisations(model: keras.Model) -> int:
        return sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)

    network = NETWORKS[name]
    trained = network.build()
    folded = fold(trained, network)
    assert normalisations(trained) > 0
    assert normalisations(folded) == 0
    assert folded.count_params() < trained.count_params()


class TestFusedBatchNormalization:
    def both(self, rng: np.random.Generator) -> list[layers.BatchNormalization]:
        """The fused layer and Keras' own, with the same random weights."""
        made = [kind(momentum=0.9) for kind in (FusedBatchNormalization, layers.BatchNormalization)]
        weights = [rng.uniform(0.5, 2.0, 5).astype(np.float32) for _ in range(4)]
        for layer in made:
            layer.build((None, 7, 7, 5))
            layer.set_weights(weights)
        return made

    def test_it_trains_as_keras_layer_does(self, rng: np.random.Generator) -> None:
        images = tf.constant(rng.normal(1, 2, (64, 7, 7, 5)).astype(np.float32))
        pull = tf.constant(rng.normal(0, 1, (64, 7, 7, 5)).astype(np.float32))
        found = []
        for layer in self.both(rng):
            with tf.GradientTape() as tape:
                tape.watch(images)
                out = layer(images, training=True)
                loss = tf.reduce_sum(out * pull + out**3)
            wanted = [images, *(weight.value for weight in layer.trainable_variables)]
            gradients = tape.gradient(loss, wanted)
            moving = [weight.numpy() for weight in layer.non_trainable_variables]
            found.append([out.numpy(), *(g.numpy() for g in gradients), *moving])
        for fused, keras_own in zip(*found, strict=True):
            scale = np.abs(keras_own).max()
            np.testing.assert_allclose(fused, keras_own, rtol=1e-3, atol=1e-4 * scale)

    def test_it_infers_exactly_as_keras_layer_does(self, rng: np.random.Generator) -> None:
        images = rng.normal(1, 2, (4, 7, 7, 5)).astype(np.float32)
        fused, keras_own = (layer(images, training=False).numpy() for layer in self.both(rng))
        np.testing.assert_array_equal(fused, keras_own)
