"""The training loop: decoded cells in memory in, the weights of the best epoch out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.augment import augment
from malscan.errors import MalscanError
from malscan.labels import CLASSES
from malscan.pipeline import batches
from malscan.preprocess import Preprocessing
from malscan.settings import DEFAULT_BATCH_SIZE, Recipe
from malscan.walk import CellImage


@dataclass(frozen=True, slots=True)
class Cells:
    """Labelled cells, decoded and resized.

    Attributes:
        pixels: uint8 [cells, size, size, 3].
        classes: int64 [cells], index into `malscan.labels.CLASSES`.
        images: the records, in the same order.
        failed: images that could not be read, each with the reason.
    """

    pixels: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.int64]
    images: list[CellImage]
    failed: list[tuple[CellImage, str]]

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """Bool [cells], whether a cell is labelled parasitized."""
        return self.classes == 0

    @property
    def patients(self) -> list[str]:
        """Patient of each cell."""
        return [str(image.patient) for image in self.images]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did; loss is the cross-entropy."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


def load_cells(images: Iterable[CellImage], preprocessing: Preprocessing) -> Cells:
    """Read all images of one part of a data set into memory."""
    pixels: list[npt.NDArray[np.uint8]] = []
    kept: list[CellImage] = []
    failed: list[tuple[CellImage, str]] = []
    for batch in batches(images, preprocessing, batch_size=DEFAULT_BATCH_SIZE):
        slots = []
        for item in batch.items:
            if item.slot is None:
                failed.append((item.image, str(item.error)))
            else:
                slots.append(item.slot)
                kept.append(item.image)
        if batch.pixels is not None:
            pixels.append(batch.pixels.numpy()[slots])
    size = preprocessing.size
    stacked = np.concatenate(pixels) if pixels else np.zeros([0, size, size, 3], np.uint8)
    classes = np.array([CLASSES.index(str(image.label)) for image in kept], np.int64)
    return Cells(stacked, classes, kept, failed)


def fit(
    network: keras.Model,
    train: Cells,
    validation: Cells,
    recipe: Recipe,
    *,
    rescale: float,
    on_step: Callable[[int], object],
    on_epoch: Callable[[Epoch], object],
) -> list[Epoch]:
    """Train a network, and leave it with the weights of the epoch of least validation loss.

    Args:
        network: built, not compiled.
        train: cells to learn from.
        validation: cells to choose the epoch by.
        recipe: how to train.
        rescale: factor from uint8 pixels to network input.
        on_step: called with 1 after each step, for progress.
        on_epoch: called after each epoch.

    Returns:
        One record an epoch.

    Raises:
        MalscanError: the loss is not a finite number.
    """
    steps = recipe.steps(len(train.pixels))
    network.compile(_optimizer(recipe, steps), _loss(recipe), metrics=["accuracy"])
    fed, held_out = _training_batches(train, recipe, rescale), _plain_batches(validation, rescale)
    history: list[Epoch] = []
    best = network.get_weights()
    progress = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: on_step(1))
    for number in range(1, recipe.epochs + 1):
        trained = network.fit(fed(number), shuffle=False, verbose=0, callbacks=[progress]).history
        loss, accuracy = network.evaluate(held_out, verbose=0)
        epoch = Epoch(number, trained["loss"][0], trained["accuracy"][0], loss, accuracy)
        if not np.isfinite([epoch.loss, epoch.validation_loss]).all():
            raise MalscanError(
                f"the loss is not a number in epoch {number}: try a lower --learning-rate"
            )
        if loss <= min((past.validation_loss for past in history), default=np.inf):
            best = network.get_weights()
        history.append(epoch)
        on_epoch(epoch)
    network.set_weights(best)
    return history


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    warmup = min(steps, recipe.epochs * steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate / 20,
        decay_steps=max(1, recipe.epochs * steps - warmup),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)


def _loss(recipe: Recipe) -> keras.losses.Loss:
    return keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)


def _training_batches(
    cells: Cells, recipe: Recipe, rescale: float
) -> Callable[[int], tf.data.Dataset]:
    """Gives the batches of an epoch; order and changes follow from seed and epoch alone."""
    # Made once: each data set that made its own would keep a copy of all pixels.
    pixels, targets = tf.constant(cells.pixels), tf.one_hot(cells.classes, len(CLASSES))

    @tf.autograph.experimental.do_not_convert
    def prepare(seed: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.cast(tf.gather(pixels, index), tf.float32) * rescale
        return augment(images, seed), tf.gather(targets, index)

    def epoch(number: int) -> tf.data.Dataset:
        rng = np.random.default_rng([recipe.seed, number])
        order = rng.permutation(len(cells.pixels))
        steps = recipe.steps(len(order))
        seeds = rng.integers(0, 2**31, size=[steps, 2], dtype=np.int32)
        indices = tf.data.Dataset.from_tensor_slices(order).batch(recipe.batch_size)
        fed = tf.data.Dataset.zip(tf.data.Dataset.from_tensor_slices(seeds), indices)
        return fed.map(prepare, num_parallel_calls=1).prefetch(2)

    return epoch


def _plain_batches(cells: Cells, rescale: float) -> tf.data.Dataset:
    targets = tf.one_hot(cells.classes, len(CLASSES))

    @tf.autograph.experimental.do_not_convert
    def prepare(pixels: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(pixels, tf.float32) * rescale, target

    return (
        tf.data.Dataset.from_tensor_slices((cells.pixels, targets))
        .batch(DEFAULT_BATCH_SIZE)
        .map(prepare)
    )
