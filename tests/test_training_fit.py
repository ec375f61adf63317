"""Fitting: which weights a network is left with, and that a break changes nothing."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from malscan.training.cells import Cells, StoredPixels
from malscan.training.checkpoint import Checkpoint
from malscan.training.fit import FitListener, fit
from malscan.training.recipe import Augmentation, Keep, Recipe, Schedule
from malscan.walk import CellImage

RECIPE = Recipe(
    epochs=4,
    batch_size=8,
    learning_rate=0.05,
    schedule=Schedule.CONSTANT,
    augmentation=Augmentation.NONE,
    keep=Keep.LAST,
)
RESCALE = 1 / 255
SILENT = FitListener()


def cells(seed: int) -> Cells:
    """Forty patches of 6 x 6 pixels, the parasitized ones a little darker."""
    rng = np.random.default_rng(seed)
    classes = np.arange(40) % 2
    pixels = rng.integers(0, 200, (40, 6, 6, 3)) + 30 * classes[:, None, None, None]
    images = [CellImage(f"{i}.png", "s") for i in range(40)]
    hashes = np.arange(40, dtype=np.uint64)
    return Cells(
        StoredPixels(pixels.astype(np.uint8)), classes.astype(np.int64), hashes, images, []
    )


def network() -> keras.Model:
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(2, activation="softmax", name="dense"),
        ]
    )


def fitted(recipe: Recipe, folder: Path, listener: FitListener = SILENT) -> keras.Model:
    folder.mkdir(exist_ok=True)
    trained = network()
    checkpoint = Checkpoint(folder / "checkpoint", {})
    fit(
        *(trained, cells(1), cells(2), recipe),
        rescale=RESCALE,
        checkpoint=checkpoint,
        listener=listener,
    )
    return trained


def kernel(trained: keras.Model) -> np.ndarray:
    values: np.ndarray = trained.get_layer("dense").get_weights()[0]
    return values


def test_averaged_weights_are_the_moving_average_of_the_weights_after_each_step(
    tmp_path: Path,
) -> None:
    steps: list[np.ndarray] = []
    plain = network()

    def note(done: int) -> None:
        steps.append(kernel(plain))

    checkpoint = Checkpoint(tmp_path / "checkpoint", {})
    listener = FitListener(on_step=note)
    fit(
        *(plain, cells(1), cells(2), RECIPE),
        rescale=RESCALE,
        checkpoint=checkpoint,
        listener=listener,
    )
    average = steps[0]
    for values in steps[1:]:
        average = 0.8 * average + 0.2 * values

    averaged = fitted(replace(RECIPE, average=0.8), tmp_path / "averaged")

    assert len(steps) == 4 * 5
    np.testing.assert_allclose(kernel(averaged), average, rtol=1e-4, atol=1e-6)
    assert np.abs(average - kernel(plain)).max() > 1e-3


@pytest.mark.parametrize(
    ("keep", "average"), [(Keep.BEST, 0.0), pytest.param(Keep.LAST, 0.9, marks=pytest.mark.slow)]
)
def test_a_break_after_an_epoch_changes_nothing(keep: Keep, average: float, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=2, keep=keep, average=average, mixup=0.3)
    whole = fitted(recipe, tmp_path / "whole")

    class Break(Exception):
        pass

    def stop(epoch: object) -> None:
        raise Break

    with pytest.raises(Break):
        fitted(recipe, tmp_path / "broken", FitListener(on_epoch=stop))
    resumed = fitted(recipe, tmp_path / "broken")

    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_neighbours_are_mixed_only_in_training(tmp_path: Path) -> None:
    shares = {}
    for mixup in (0.0, 10.0):
        recipe = replace(RECIPE, epochs=1, learning_rate=0.0, weight_decay=0.0, mixup=mixup)
        trained = network()
        checkpoint = Checkpoint(tmp_path / f"{mixup}", {})
        (epoch,) = fit(
            *(trained, cells(1), cells(2), recipe), rescale=RESCALE, checkpoint=checkpoint
        )
        shares[mixup] = epoch
    assert shares[0.0].validation_loss == pytest.approx(shares[10.0].validation_loss, rel=1e-5)
    assert shares[0.0].loss != pytest.approx(shares[10.0].loss, rel=1e-3)
