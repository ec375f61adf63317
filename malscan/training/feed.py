"""Feeds the training loop: batches of cells in random order, changed at random."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.labels import CLASSES
from malscan.pipeline import as_written
from malscan.settings import DEFAULT_BATCH_SIZE
from malscan.training.augment import augment, mix_neighbours
from malscan.training.cells import Cells, Places
from malscan.training.recipe import Augmentation, Recipe

Floats = npt.NDArray[np.float32]
Opinion = Callable[[tf.Tensor], tf.Tensor]


class Feed:
    """The batches of each epoch; with a recipe in random order and changed at random.

    Order and changes of an epoch follow from seed and number alone, so that a training that
    goes on after an epoch gets the batches that it would have got without a break.
    """

    def __init__(
        self,
        cells: Cells,
        weights: Floats,
        rescale: float,
        recipe: Recipe | None = None,
        opinion: Opinion | None = None,
    ) -> None:
        """Feed cells.

        Args:
            cells: the cells.
            weights: of each class in the loss, float32 [2].
            rescale: factor from uint8 pixels to network input.
            recipe: how to train; None for cells in their order as they are.
            opinion: what teachers say of cells as the network gets them: from float32 [batch,
                size, size, 3] to float32 [batch, 2]; None without teachers.
        """
        self._cells = cells
        self._weights = weights
        self._rescale = rescale
        self._recipe = recipe
        self._opinion = opinion
        self._batch_size = recipe.batch_size if recipe else DEFAULT_BATCH_SIZE
        self._fault: BaseException | None = None

    def epoch(self, number: int) -> tf.data.Dataset:
        """Batches of (pixels, target, weight)."""
        given = tf.data.Dataset.from_generator(
            lambda: self._batches(number),
            output_signature=(
                tf.TensorSpec([None, None, None, 3], tf.uint8),
                tf.TensorSpec([None], tf.int64),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([2], tf.int32),
            ),
        )
        prepare = tf.autograph.experimental.do_not_convert(self._prepare)
        steps = -(-len(self._cells) // self._batch_size)
        known = given.apply(tf.data.experimental.assert_cardinality(steps))
        return as_written(known.map(prepare, num_parallel_calls=1).prefetch(2))

    @contextmanager
    def faults_told(self) -> Iterator[None]:
        """Raise what goes wrong while batches are made; TensorFlow would bury it."""
        try:
            yield
        except tf.errors.OpError:
            if self._fault is None:
                raise
        if self._fault is not None:
            raise self._fault

    def _batches(self, number: int) -> Iterator[tuple[object, ...]]:
        order: Places = np.arange(len(self._cells))
        size = self._batch_size
        rng = np.random.default_rng([self._recipe.seed if self._recipe else 0, number])
        if self._recipe is not None:
            order = rng.permutation(order)
        classes = self._cells.classes[order]
        try:
            for i, pixels in enumerate(self._cells.store.batches(order, size)):
                some = classes[i * size : (i + 1) * size]
                seed = rng.integers(0, 2**31, size=2, dtype=np.int32)
                yield pixels, some, self._weights[some], seed
        except GeneratorExit:
            raise
        except BaseException as fault:
            self._fault = fault

    def _prepare(
        self, pixels: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        images = tf.cast(pixels, tf.float32) * self._rescale
        if self._recipe is not None and self._recipe.augmentation is Augmentation.CELLS:
            images = augment(images, seed)
        targets = tf.one_hot(classes, len(CLASSES))
        if self._recipe is not None and self._opinion is not None:
            share = self._recipe.teacher_share
            targets = targets * (1 - share) + self._opinion(images) * share
        if self._recipe is not None and self._recipe.mixup:
            images, targets = mix_neighbours(images, targets, self._recipe.mixup, seed)
        return images, targets, weights
