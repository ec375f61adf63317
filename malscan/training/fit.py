"""The training loop: cells in, the weights of the chosen epoch out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.errors import MalscanError
from malscan.labels import CLASSES
from malscan.training.cells import Cells
from malscan.training.checkpoint import Checkpoint, Epoch, Progress
from malscan.training.feed import Feed, Opinion
from malscan.training.recipe import (
    ClassWeights,
    Keep,
    Optimizer,
    Recipe,
    Schedule,
)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FitListener:
    """Whom to tell how fitting goes; an exception from a call ends it.

    Attributes:
        on_start: called with the number of steps done already and of all steps.
        on_step: called with 1 after each step.
        on_epoch: called after each epoch.
    """

    on_start: Callable[[int, int], object] = lambda done, steps: None
    on_step: Callable[[int], object] = lambda done: None
    on_epoch: Callable[[Epoch], object] = lambda epoch: None


def fit(
    network: keras.Model,
    train: Cells,
    validation: Cells,
    recipe: Recipe,
    *,
    rescale: float,
    checkpoint: Checkpoint,
    opinion: Opinion | None = None,
    tensorboard: Path | None = None,
    listener: FitListener = FitListener(),
) -> list[Epoch]:
    """Train a network, and leave it with the weights of the epoch that the recipe keeps.

    Args:
        network: built, not compiled.
        train: cells to learn from.
        validation: cells to choose the epoch by.
        recipe: how to train.
        rescale: factor from uint8 pixels to network input.
        checkpoint: where to go on from, and to save each epoch to.
        opinion: what teachers say of cells as the network gets them: from float32 [batch, size,
            size, 3] to float32 [batch, 2]; None without teachers.
        tensorboard: folder for TensorBoard's event files.
        listener: whom to tell how it goes.

    Returns:
        One record an epoch.

    Raises:
        MalscanError: the loss is not a finite number, or the checkpoint cannot be written.
    """
    steps = recipe.steps(len(train))
    network.compile(_optimizer(recipe, steps), _loss(recipe), metrics=["accuracy"])
    progress = checkpoint.restore(network)
    history, kept = progress.history, progress.kept
    listener.on_start(len(history) * steps, recipe.epochs * steps)
    weights = class_weights(train, recipe.class_weights)
    feed = Feed(train, weights, rescale, recipe, opinion)
    held_out = Feed(validation, weights, rescale)
    told = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: listener.on_step(1)
    )
    raw = _RawWeights()
    while len(history) < recipe.epochs and not _out_of_patience(history, recipe.patience):
        epoch = _run_epoch(network, len(history) + 1, feed, held_out, [told, raw])
        history.append(epoch)
        if best_epoch(history, recipe.keep) is epoch:
            kept = network.get_weights()
        raw.put_back()
        checkpoint.save(network, Progress(history, kept))
        if tensorboard is not None:
            _write_events(tensorboard, epoch)
        listener.on_epoch(epoch)
    network.set_weights(kept)
    return history


def _run_epoch(
    network: keras.Model,
    number: int,
    feed: Feed,
    held_out: Feed,
    callbacks: list[keras.callbacks.Callback],
) -> Epoch:
    """Learn from all training cells once, and look at the others."""
    fed = feed.epoch(number)
    with feed.faults_told():
        trained = network.fit(fed, shuffle=False, verbose=0, callbacks=callbacks).history
    with held_out.faults_told():
        loss, accuracy = network.evaluate(held_out.epoch(number), verbose=0)
    epoch = Epoch(number, trained["loss"][0], trained["accuracy"][0], loss, accuracy)
    if not np.isfinite([epoch.loss, epoch.validation_loss]).all():
        raise MalscanError(
            f"the loss is not a number in epoch {number}: try a lower --learning-rate"
        )
    return epoch


def best_epoch(history: list[Epoch], keep: Keep) -> Epoch:
    """The epoch whose weights are kept; of several with the same loss the last."""
    if keep is Keep.LAST:
        return history[-1]
    return min(reversed(history), key=lambda epoch: epoch.validation_loss)


def class_weights(cells: Cells, kind: ClassWeights) -> Floats:
    """Weight of each class in the loss, float32 [2]; balanced, both sum to the same."""
    if kind is ClassWeights.NONE:
        return np.ones(len(CLASSES), np.float32)
    counts = np.bincount(cells.classes, minlength=len(CLASSES))
    return (len(cells) / (len(CLASSES) * counts)).astype(np.float32)


def _out_of_patience(history: list[Epoch], patience: int) -> bool:
    if not patience or not history:
        return False
    return len(history) - best_epoch(history, Keep.BEST).epoch >= patience


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    rate: float | keras.optimizers.schedules.LearningRateSchedule = recipe.learning_rate
    if recipe.schedule is Schedule.COSINE:
        warmup = min(steps, recipe.epochs * steps // 2)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=recipe.learning_rate / 20,
            decay_steps=max(1, recipe.epochs * steps - warmup),
            warmup_target=recipe.learning_rate,
            warmup_steps=warmup,
        )
    average: dict[str, Any] = {}
    if recipe.average:
        average = {"use_ema": True, "ema_momentum": recipe.average}
    if recipe.optimizer is Optimizer.RMSPROP:
        return keras.optimizers.RMSprop(rate, **average)
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **average)


def _loss(recipe: Recipe) -> keras.losses.Loss:
    return keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)


class _RawWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights that training goes on with: Keras ends `fit` with their averages."""

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Called by Keras before it puts the averages in place, if it averages."""
        self._values = [variable.numpy() for variable in self.model.trainable_variables]

    def put_back(self) -> None:
        """Go back from the averages to the weights themselves."""
        for variable, value in zip(self.model.trainable_variables, self._values, strict=True):
            variable.assign(value)


def _write_events(folder: Path, epoch: Epoch) -> None:
    """Add an epoch to TensorBoard's event files."""
    curves = {
        "train": {"loss": epoch.loss, "accuracy": epoch.accuracy},
        "validation": {"loss": epoch.validation_loss, "accuracy": epoch.validation_accuracy},
    }
    try:
        for part, values in curves.items():
            with tf.summary.create_file_writer(str(folder / part)).as_default(epoch.epoch):
                for name, value in values.items():
                    tf.summary.scalar(name, value)
    except tf.errors.OpError as error:
        raise MalscanError(
            f"cannot write --tensorboard {folder}: {error.message}. The training is kept: the same "
            "command with another folder goes on."
        ) from None
