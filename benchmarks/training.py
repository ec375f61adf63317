"""Seconds of a training epoch: malscan beside Keras' own ways, on the same real cells.

    python benchmarks/training.py DATA [--images 4000] [--rounds 5] [--network compact|baseline]

DATA is a folder with the class folders Parasitized and Uninfected; a tenth of the images
validates. The ways run in turn in this process, all with malscan's settings of TensorFlow; of each
run the second epoch counts, since the first compiles. Besides malscan's epoch and Keras', Keras'
epoch from arrays in memory shows what the feeding alone gains. Nothing is written but the table.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from throughput import link_images

from malscan.dataset import labelled_cells
from malscan.devices import computing_in, training_precision
from malscan.networks import NETWORKS, Network
from malscan.settings import DataSettings, Precision
from malscan.split import split_by_cell
from malscan.trainable import FusedBatchNormalization
from malscan.training.cells import Cells, load_cells
from malscan.training.checkpoint import Checkpoint
from malscan.training.fit import FitListener, fit
from malscan.training.recipe import PRESETS, Augmentation, Recipe

VALIDATION_SHARE = 0.1
RECIPES = {"compact": PRESETS["default"].recipe, "baseline": PRESETS["notebook"].recipe}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", choices=sorted(RECIPES), default="compact")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cells"
        count = link_images(args.data, data, args.images)
        ways = ways_of(NETWORKS[args.network], data, Path(folder))
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(args.rounds):
            for name, run in ways.items():
                seconds[name].append(run())
    print(f"{count} images, {args.rounds} rounds in turn, {len(os.sched_getaffinity(0))} cores")
    print(f"{'an epoch of ' + args.network:66} {'median':>7} {'min':>7} {'max':>7}  seconds")
    for name, values in seconds.items():
        print(f"{name:66} {statistics.median(values):7.2f} {min(values):7.2f} {max(values):7.2f}")
    first, *others = seconds
    for name in others:
        ratios = np.array(seconds[name]) / np.array(seconds[first])
        print(f"median of the rounds' ratios, {name} / {first}: {np.median(ratios):.2f}")


def ways_of(network: Network, data: Path, folder: Path) -> dict[str, Callable[[], float]]:
    """The ways to train an epoch, each a function that gives its seconds."""
    cells = labelled_cells(DataSettings(data)).cells
    split = split_by_cell(cells, seed=0, validation_share=VALIDATION_SHARE, test_share=0)
    parts = (
        load_cells(split.train, network.preprocessing),
        load_cells(split.validation, network.preprocessing),
    )
    recipe = RECIPES[network.name]
    plain = replace(recipe, augmentation=Augmentation.NONE)
    ways = {"malscan, no augmentation": malscan_way(network, parts, plain, folder)}
    if recipe.augmentation is not Augmentation.NONE:
        ways["malscan, augmented as by default"] = malscan_way(network, parts, recipe, folder)
    feeding = "image_dataset_from_directory" if network.name == "compact" else "ImageDataGenerator"
    feeds = {f"Keras, {feeding}": keras_feed(network, data), "Keras, from memory": arrays(parts)}
    ways |= {name: keras_way(network, feed) for name, feed in feeds.items()}
    return ways


def malscan_way(
    network: Network, parts: tuple[Cells, Cells], recipe: Recipe, folder: Path
) -> Callable[[], float]:
    """An epoch of `malscan train`, at the default precision."""

    def run() -> float:
        ends: list[float] = []
        with computing_in(training_precision(Precision.AUTO, wide=network.wide)):
            built = network.build()
        file = folder / "checkpoint.safetensors"
        file.unlink(missing_ok=True)
        fit(
            built,
            *parts,
            replace(recipe, epochs=2),
            rescale=network.preprocessing.rescale,
            checkpoint=Checkpoint(file, {}),
            listener=FitListener(on_epoch=lambda epoch: ends.append(time.perf_counter())),
        )
        return ends[1] - ends[0]

    return run


def keras_way(network: Network, feed: Callable[[], tuple[Any, Any]]) -> Callable[[], float]:
    """An epoch of Keras' `fit` with its defaults: float32, RMSprop, batches of 32."""

    def run() -> float:
        ends: list[float] = []
        told = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
        )
        built = keras.models.clone_model(network.build(), clone_function=_keras_layer)
        built.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
        train, validation = feed()
        built.fit(train, validation_data=validation, epochs=2, verbose=0, callbacks=[told])
        return ends[1] - ends[0]

    return run


def keras_feed(network: Network, data: Path) -> Callable[[], tuple[Any, Any]]:
    """Files fed as a reader of Keras' guides, or of the notebook, would."""
    size = (network.preprocessing.size, network.preprocessing.size)

    def directory() -> tuple[Any, Any]:
        both = keras.utils.image_dataset_from_directory(
            data,
            label_mode="categorical",
            image_size=size,
            validation_split=VALIDATION_SHARE,
            subset="both",
            seed=0,
            verbose=False,
        )
        return tuple(
            part.map(lambda image, label: (image / 255, label), tf.data.AUTOTUNE).prefetch(2)
            for part in both
        )

    def generator() -> tuple[Any, Any]:
        made = tf.keras.preprocessing.image.ImageDataGenerator(
            rescale=1 / 255, validation_split=VALIDATION_SHARE
        )
        return tuple(
            made.flow_from_directory(str(data), target_size=size, subset=subset)
            for subset in ("training", "validation")
        )

    return directory if network.name == "compact" else generator


def arrays(parts: tuple[Cells, Cells]) -> Callable[[], tuple[Any, Any]]:
    """The same cells as decoded arrays, shuffled by `tf.data`."""

    def feed() -> tuple[Any, Any]:
        made = []
        for part in parts:
            pixels = next(part.store.batches(np.arange(len(part)), len(part)))
            labels = keras.utils.to_categorical(part.classes, 2)
            shuffled = tf.data.Dataset.from_tensor_slices((pixels, labels)).shuffle(len(part))
            scaled = shuffled.batch(32).map(lambda image, y: (tf.cast(image, tf.float32) / 255, y))
            made.append(scaled.prefetch(2))
        return made[0], made[1]

    return feed


def _keras_layer(layer: keras.Layer) -> keras.Layer:
    kind = type(layer)
    if isinstance(layer, FusedBatchNormalization):
        kind = keras.layers.BatchNormalization
    return kind.from_config(layer.get_config())


if __name__ == "__main__":
    main()
