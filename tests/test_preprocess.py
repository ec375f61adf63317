"""Tests of the resize kernels."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from malscan.kernel import Kernel
from malscan.preprocess import Preprocessing, resize

Pixels = NDArray[np.uint8]

NOTEBOOK = Preprocessing(125, Kernel.PILLOW_NEAREST)
EDGE_SIZES = [(1, 1), (1, 512), (512, 1), (512, 512), (124, 126), (125, 125), (250, 375), (2, 3)]


def noise(rng: np.random.Generator, width: int, height: int) -> Pixels:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def resized(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    out: Pixels = resize([tf.constant(pixels)], preprocessing)[0].numpy()
    return out


def test_pillow_nearest_equals_pillow_at_many_sizes(rng: np.random.Generator) -> None:
    sizes = [*EDGE_SIZES, *rng.integers(1, 513, (60, 2)).tolist()]
    for width, height in sizes:
        pixels = noise(rng, width, height)
        expected = Image.fromarray(pixels).resize((125, 125), Image.Resampling.NEAREST)
        out = resized(pixels, NOTEBOOK)
        np.testing.assert_array_equal(out, expected, err_msg=f"at {width} x {height}")


@pytest.mark.parametrize("size", [64, 125])
def test_pillow_nearest_equals_pillow_at_every_length_up_to_512(size: int) -> None:
    preprocessing = Preprocessing(size, Kernel.PILLOW_NEAREST)
    for length in range(1, 513):
        column = np.zeros((length, 1, 3), np.uint8)
        column[:, 0, 0], column[:, 0, 1] = np.arange(length) % 256, np.arange(length) // 256
        expected = Image.fromarray(column).resize((size, size), Image.Resampling.NEAREST)
        out = resized(column, preprocessing)
        np.testing.assert_array_equal(out, expected, err_msg=f"at length {length}")


@pytest.mark.parametrize(("width", "height"), [*EDGE_SIZES[1:], (142, 148), (130, 97), (46, 385)])
def test_pillow_nearest_equals_the_notebooks_loader(
    width: int, height: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = tmp_path / "cell.png"
    pixels = noise(rng, width, height)
    Image.fromarray(pixels).save(path)
    loaded = keras.utils.load_img(path, target_size=(125, 125), interpolation="nearest")
    np.testing.assert_array_equal(resized(pixels, NOTEBOOK), np.asarray(loaded))


@pytest.mark.parametrize("kernel", Kernel)
@pytest.mark.parametrize(("width", "height"), EDGE_SIZES)
def test_every_kernel_gives_a_square_of_whole_numbers(
    kernel: Kernel, width: int, height: int, rng: np.random.Generator
) -> None:
    out = resized(noise(rng, width, height), Preprocessing(64, kernel))
    assert out.shape == (64, 64, 3)
    assert out.dtype == np.uint8


@pytest.mark.parametrize("kernel", Kernel)
@pytest.mark.parametrize(("width", "height"), EDGE_SIZES)
def test_an_image_of_one_colour_keeps_its_colour(kernel: Kernel, width: int, height: int) -> None:
    colour = np.array([255, 1, 128], np.uint8)
    out = resized(np.tile(colour, (height, width, 1)), Preprocessing(64, kernel))
    np.testing.assert_array_equal(out, np.tile(colour, (64, 64, 1)))


@pytest.mark.parametrize("kernel", Kernel)
def test_an_image_of_the_right_size_stays_as_it_is(
    kernel: Kernel, rng: np.random.Generator
) -> None:
    pixels = noise(rng, 64, 64)
    np.testing.assert_array_equal(resized(pixels, Preprocessing(64, kernel)), pixels)


def test_area_gives_the_mean_of_the_pixels_it_joins(rng: np.random.Generator) -> None:
    pixels = noise(rng, 96, 64)
    means = pixels.reshape(32, 2, 32, 3, 3).mean(axis=(1, 3))
    out = resized(pixels, Preprocessing(32, Kernel.AREA))
    np.testing.assert_allclose(out, means, atol=0.5 + 1e-3)


def test_bilinear_lays_new_pixels_between_old_ones() -> None:
    step = np.zeros((2, 2, 3), np.uint8)
    step[:, 1] = 200
    out = resized(step, Preprocessing(8, Kernel.BILINEAR))
    row = [0, 0, 25, 75, 125, 175, 200, 200]
    np.testing.assert_array_equal(out[:, :, 0], np.tile(row, (8, 1)))
