"""Random changes of cells: pictures in, pictures out, of any number."""

import numpy as np
import pytest
import tensorflow as tf
from draw_cells import draw_cell

from malscan.training.augment import augment, mix_neighbours


def cells(number: int, size: int = 33) -> np.ndarray:
    """Float pixels of drawn cells on black, [number, size, size, 3]."""
    rng = np.random.default_rng(number)
    drawn = [
        np.asarray(draw_cell(rng, i % 2 == 0, size=size).resize((size, size)), np.float32)
        for i in range(number)
    ]
    return np.stack(drawn) / 255


def changed(images: np.ndarray, seed: tuple[int, int] = (1, 2)) -> np.ndarray:
    found: np.ndarray = augment(tf.constant(images), tf.constant(seed, tf.int32)).numpy()
    return found


@pytest.mark.parametrize("number", [1, 2, 3, 7, 16])
def test_shape_and_range_stay(number: int) -> None:
    images = cells(number)
    found = changed(images)
    assert found.shape == images.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert all((found[i] != images[i]).any() for i in range(number))


def test_a_batch_of_unknown_size_can_be_changed_in_a_graph() -> None:
    spec = [tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([2], tf.int32)]
    graph = tf.function(augment, input_signature=spec)
    images = cells(5)
    np.testing.assert_allclose(graph(images, tf.constant([1, 2])), changed(images), atol=1e-5)


def test_the_same_seed_gives_the_same_changes_and_another_seed_others() -> None:
    images = cells(6)
    assert (changed(images) == changed(images)).all()
    other = changed(images, (1, 3))
    assert all((changed(images)[i] != other[i]).any() for i in range(6))


def test_two_equal_images_of_a_batch_are_changed_each_in_its_own_way() -> None:
    found = changed(np.repeat(cells(1), 8, axis=0))
    assert all((found[i] != found[j]).any() for i in range(8) for j in range(i))


def test_the_lightly_changed_half_keeps_its_black_background_and_its_pixels_places() -> None:
    images = cells(12)
    for before, after in zip(images[6:], changed(images)[6:], strict=True):
        black = (before == 0).all(axis=-1)
        masks = [
            turned
            for mask in (black, black.T)
            for turned in (mask, mask[::-1], mask[:, ::-1], mask[::-1, ::-1])
        ]
        assert any(((after == 0).all(axis=-1) == mask).all() for mask in masks)


def test_the_heavily_changed_half_gets_other_backgrounds_in_two_thirds_of_cases() -> None:
    found = changed(np.repeat(cells(1), 400, axis=0))[:200]
    assert 0.55 < len(of_bright_background(found)) / 200 < 0.78


def discs(colours: list[tuple[float, float, float]], radius: float, size: int = 33) -> np.ndarray:
    """Plain discs in the middle of black pictures, [discs, size, size, 3]."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = np.hypot(x, y) < radius * size
    return np.stack([inside[..., None] * np.array(colour, np.float32) for colour in colours])


def corners(images: np.ndarray) -> np.ndarray:
    """How bright the corners of pictures are, [images]; a cell in one of them does not count."""
    found: np.ndarray = np.median(images[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(-1), axis=1)
    return found


def of_bright_background(images: np.ndarray) -> np.ndarray:
    """The pictures of which the corners are no longer black."""
    return images[corners(images) > 0.3]


def test_most_cells_on_a_bright_background_are_not_framed_by_the_black_around_them_before() -> None:
    found = of_bright_background(changed(discs([(0.5, 0.5, 0.5)] * 300, 0.3))[:150])
    assert len(found) > 60
    middle = found[:, 16, 16].min(axis=-1)
    assert np.mean(found.min(axis=(1, 2, 3)) > 0.6 * middle) > 0.8


def test_other_cells_reach_into_crops_with_a_bright_background_and_into_no_others() -> None:
    red, green = (0.8, 0.2, 0.2), (0.2, 0.8, 0.2)
    found = changed(discs([red, green] * 300, 0.4))[:300]

    def with_both(images: np.ndarray) -> float:
        redder = images[..., 0] - images[..., 1]
        return float(np.mean((redder.max(axis=(1, 2)) > 0.3) & (redder.min(axis=(1, 2)) < -0.3)))

    bright = of_bright_background(found)
    dark = found[corners(found) < 0.1]
    assert 0.15 < with_both(bright) < 0.5
    assert len(dark) > 60
    assert with_both(dark) == 0


class TestMixNeighbours:
    IMAGES = np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones((5, 2, 2, 3), np.float32)
    TARGETS = np.eye(5, dtype=np.float32)

    def mixed(self, alpha: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        images, targets = mix_neighbours(
            tf.constant(self.IMAGES), tf.constant(self.TARGETS), alpha, tf.constant([seed, 2])
        )
        return images.numpy(), targets.numpy()

    def test_image_and_target_hold_the_same_share_of_themselves_and_of_their_neighbour(
        self,
    ) -> None:
        images, targets = self.mixed(1.0)
        for place in range(5):
            own, other = targets[place, place], targets[place, place - 1]
            assert 0.5 <= own <= 1
            assert own + other == pytest.approx(1)
            expected = own * self.IMAGES[place] + other * self.IMAGES[place - 1]
            np.testing.assert_allclose(images[place], expected, atol=1e-5)
        assert len({round(float(targets[place, place]), 4) for place in range(5)}) == 5

    def test_a_small_alpha_mixes_little(self) -> None:
        shares = [np.diag(self.mixed(0.01, seed)[1]) for seed in range(20)]
        assert np.median(shares) > 0.99
        assert np.isfinite(shares).all()

    def test_the_seed_says_how(self) -> None:
        assert (self.mixed(1.0, 1)[1] == self.mixed(1.0, 1)[1]).all()
        assert (self.mixed(1.0, 1)[1] != self.mixed(1.0, 2)[1]).any()
