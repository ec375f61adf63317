"""The one path from files to batches, for training, evaluation and scanning alike.

Images go through tf.data: they are read in Python, several at once, and decoded, resized and put
into batches in the graph. What cannot be read is found in Python, with the reason; its place in
the batch stays empty, so that every image that went in is accounted for.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.ahead import Reader, hash_of
from malscan.picture import Pixels, fault_of_file
from malscan.preprocess import Preprocessing, resize
from malscan.walk import CellImage


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one image.

    Attributes:
        image: the image that went in.
        slot: its place in the pixels of the batch; None if it failed.
        error: why it failed; None if it did not.
        grey: whether the file holds no colour.
        pixel_hash: the first 64 bits of the SHA-256 of its RGB bytes, row by row, before any
            resizing: two files with the same pixels have the same. None if it failed, or if
            nobody asked for hashes.
    """

    image: CellImage
    slot: int | None
    error: str | None
    grey: bool = False
    pixel_hash: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive images.

    Attributes:
        pixels: uint8 tensor [batch size, size, size, 3], always of full size (a slot without
            image is not to be read); None if no image of the batch could be read.
        items: the images in their order, readable or not.
    """

    pixels: tf.Tensor | None
    items: list[Loaded]


def batches(
    images: Iterable[CellImage | None],
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    any_size: bool = False,
    hashed: bool = False,
    cores: int | None = None,
) -> Iterator[Batch]:
    """Read, check, decode and resize images, in order, while the caller works on the last batch.

    Args:
        images: may be lazy; it is drawn from another thread, a little ahead of the batches. None
            among them ends a batch early, even an empty one.
        preprocessing: what the model wants.
        batch_size: images to a batch.
        any_size: accept images with a side over `malscan.picture.MAX_SIDE` pixels.
        hashed: hash the pixels of each image, too.
        cores: processor cores to use; None for all that this process may run on.

    Yields:
        Batches whose items, taken together, are the images that went in, in the same order.

    Raises:
        tf.errors.ResourceExhaustedError: there is not enough memory to read an image.
        Exception: whatever iterating over `images` raises.
    """
    reader = Reader(preprocessing, any_size, hashed, batch_size)
    feeder = _Feeder(images, batch_size, reader.group)
    kind = reader, cores or usable_cores()
    graph = _idle.pop(kind, None) or _Graph(*kind)
    for groups, grey, errors, hashes in graph.loaded(feeder):
        taken = feeder.take()
        facts = (np.ravel(fact.numpy()) for fact in (errors, grey, hashes))
        items: list[Loaded] = []
        # There may be more places than images: groups are filled up.
        for slot, (image, error, is_grey, digest) in enumerate(zip(taken, *facts, strict=False)):
            if error:
                items.append(Loaded(image, None, error.decode()))
            else:
                pixel_hash = int(digest) if hashed else None
                items.append(Loaded(image, slot, None, bool(is_grey), pixel_hash))
        readable = any(item.slot is not None for item in items)
        yield Batch(_joined(groups, len(taken), batch_size) if readable else None, items)
    # One that was left early may still be about to ask for its feeder, and would get the next.
    _idle[kind] = graph
    if feeder.fault is not None:
        raise feeder.fault


def usable_cores() -> int:
    """Processor cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def full_batch(pixels: tf.Tensor, batch_size: int) -> tf.Tensor:
    """Fill up a batch: with one shape a probability cannot depend on its neighbours.

    Args:
        pixels: uint8 tensor [at most batch_size, size, size, 3].
        batch_size: images to a batch.

    Returns:
        uint8 tensor [batch_size, size, size, 3]; slots without image are black.
    """
    missing = batch_size - pixels.shape[0]
    return tf.pad(pixels, [[0, missing], [0, 0], [0, 0], [0, 0]]) if missing else pixels


def _joined(groups: tf.Tensor, count: int, batch_size: int) -> tf.Tensor:
    """The batch of the first `count` pixels of groups, uint8 [groups, group, size, size, 3]."""
    pixels = tf.reshape(groups, [-1, *groups.shape[2:]])
    return full_batch(pixels if len(pixels) == count else pixels[:count], batch_size)


def as_written(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Keep TensorFlow from tuning a dataset: there is nothing to tune, and it costs seconds.

    The tuner wakes after 10 ms, then 20, 40 and so on; the end of the dataset waits until it
    next wakes, up to as long as everything before took.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


class _Feeder:
    """Hands images to the graph, a batch at a time, and keeps their records meanwhile."""

    def __init__(self, images: Iterable[CellImage | None], batch_size: int, group: int) -> None:
        self._images = iter(images)
        self._group = group
        self._batch_size = batch_size
        self._waiting: deque[list[CellImage]] = deque()
        self.fault: BaseException | None = None

    def give(self) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Paths and already known errors of the images of each batch.

        Groups are filled up with places that carry an error, so that they are never read; even
        a batch without images has a group of them, and comes back, and shows progress.
        """
        while (images := self._next()) is not None:
            faults = (image.error or fault_of_file(image.path) or "" for image in images)
            errors = [fault.encode(errors="backslashreplace") for fault in faults]
            paths = [os.fsencode(image.path) for image in images]
            self._waiting.append(images)
            more = -len(images) % self._group if images else self._group
            yield [*paths, *[b""] * more], [*errors, *[b"no image"] * more]

    def take(self) -> list[CellImage]:
        """The images of the next batch to come back."""
        return self._waiting.popleft()

    def _next(self) -> list[CellImage] | None:
        """The images of the next batch; a fault of their source is kept for who asked."""
        batch: list[CellImage] = []
        try:
            for image in self._images:
                if image is None:
                    return batch
                batch.append(image)
                if len(batch) == self._batch_size:
                    return batch
        except BaseException as fault:
            self.fault = fault
            return None
        return batch or None


class _Graph:
    """Loads batches, for one feeder after the other: building it takes a tenth of a second."""

    def __init__(self, reader: Reader, cores: int) -> None:
        """Build the graph.

        Whole batches are loaded side by side, each by one thread. Sharing out single images
        would leave cores idle: they take less time than the system needs to move a thread. Nor
        are single images elements of a dataset: tf.data takes a tenth of a millisecond for each.
        """
        size, group = reader.preprocessing.size, reader.group
        pixels = tf.TensorSpec([group, size, size, 3], tf.uint8)
        facts = [tf.TensorSpec([group], kind) for kind in (tf.bool, tf.string, tf.uint64)]
        load = _loader(reader)

        def load_batch(paths: tf.Tensor, errors: tf.Tensor) -> tuple[tf.Tensor, ...]:
            found: tuple[tf.Tensor, ...] = tf.map_fn(
                lambda texts: load(*texts),
                [tf.reshape(texts, [-1, group]) for texts in (paths, errors)],
                parallel_iterations=1,
                fn_output_signature=(pixels, *facts),
            )
            return found

        texts = tf.TensorSpec([None], tf.string)
        given = tf.data.Dataset.from_generator(
            lambda: self._feeder.give(), output_signature=(texts, texts)
        )
        loaded = given.map(
            tf.autograph.experimental.do_not_convert(load_batch),
            num_parallel_calls=cores,
            deterministic=True,
        )
        self._feeder: _Feeder
        self._batches = as_written(loaded.prefetch(1))

    def loaded(self, feeder: _Feeder) -> tf.data.Dataset:
        """Groups of each batch, in order: (pixels, grey, errors, hashes), each [groups, group]."""
        self._feeder = feeder
        return self._batches


_idle: dict[tuple[Reader, int], _Graph] = {}
"""Graphs whose feeder has come to its end, by what they were built for."""


def _loader(reader: Reader) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]:
    """The function from paths and errors of a group to its pixels and what is known of them."""

    def load(paths: tf.Tensor, errors: tf.Tensor) -> tuple[tf.Tensor, ...]:
        kinds = [tf.string, tf.bool, tf.string, tf.uint64]
        read = tf.numpy_function(reader.read_group, [paths, errors], kinds)
        pngs, grey, faults, hashes = (tf.ensure_shape(column, [reader.group]) for column in read)
        pixels = [tf.io.decode_png(png, channels=3) for png in tf.unstack(pngs)]
        if reader.hashed:
            hashes = tf.numpy_function(_hash_rest, [hashes, *pixels], tf.uint64)
        return resize(pixels, reader.preprocessing), grey, faults, hashes

    return load


def _hash_rest(hashes: npt.NDArray[np.uint64], *pixels: Pixels) -> npt.NDArray[np.uint64]:
    return np.array([known or hash_of(one) for known, one in zip(hashes, pixels, strict=True)])
