"""The one path from files to batches, for training, evaluation and scanning alike.

Images go through tf.data: they are read in Python, several at once, and decoded, resized and put
into batches in the graph. An image that the decoder refuses drops out of the graph; the places of
the others tell that it is missing, so it comes out as a failure with a reason, and every image
that went in is accounted for.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.ahead import FAILED, PIXELS, PLAIN, read, read_ahead
from malscan.decode import decode, decode_inflated
from malscan.picture import UnreadableImageError, fault_of_file, plain_reason
from malscan.preprocess import Preprocessing, resize
from malscan.walk import CellImage

Loader = Callable[..., tuple[tf.Tensor, ...]]
"""From one element of `read_ahead` to one element of a batch."""


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
        any_size: accept images with a side over `malscan.decode.MAX_SIDE` pixels.
        hashed: hash the pixels of each image, too.
        cores: processor cores to use; None for all that this process may run on.

    Yields:
        Batches whose items, taken together, are the images that went in, in the same order.

    Raises:
        Exception: whatever iterating over `images` raises.
    """
    feeder = _Feeder(images, batch_size)
    kind = preprocessing, any_size, hashed, cores or usable_cores()
    graph = _idle.pop(kind, None) or _Graph(*kind)
    for places, pixels, grey, errors, hashes in graph.loaded(feeder):
        slots = {place: slot for slot, place in enumerate(places.numpy())}
        facts = list(zip(grey.numpy(), errors.numpy(), hashes.numpy(), strict=True))
        items: list[Loaded] = []
        for place, image in enumerate(feeder.take()):
            slot = slots.get(place)
            if slot is None:
                items.append(_refused(image, any_size))
            elif error := facts[slot][1]:
                items.append(Loaded(image, None, error.decode()))
            else:
                pixel_hash = int(facts[slot][2]) if hashed else None
                items.append(Loaded(image, slot, None, bool(facts[slot][0]), pixel_hash))
        readable = any(item.slot is not None for item in items)
        yield Batch(full_batch(pixels[:-1], batch_size) if readable else None, items)
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

    def __init__(self, images: Iterable[CellImage | None], batch_size: int) -> None:
        self._images = iter(images)
        self._batch_size = batch_size
        self._waiting: deque[list[CellImage]] = deque()
        self.fault: BaseException | None = None

    def give(self) -> Iterator[tuple[range, list[bytes], list[bytes]]]:
        """Places, paths and already known errors of the images of each batch.

        A place more ends each batch. It carries an error, so it is never read and never drops
        out: even a batch of which every image is refused comes back, and shows progress.
        """
        while (images := self._next()) is not None:
            faults = (image.error or fault_of_file(image.path) or "" for image in images)
            errors = [fault.encode(errors="backslashreplace") for fault in faults]
            paths = [os.fsencode(image.path) for image in images]
            self._waiting.append(images)
            yield range(len(images) + 1), [*paths, b""], [*errors, b"end of batch"]

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

    def __init__(
        self, preprocessing: Preprocessing, any_size: bool, hashed: bool, cores: int
    ) -> None:
        """Build the graph.

        Whole batches are loaded side by side, each by one thread. Sharing out single images
        would leave cores idle: they take less time than the system needs to move a thread.
        """
        loader = _loader(preprocessing, any_size, hashed)

        def load(places: tf.Tensor, paths: tf.Tensor, errors: tf.Tensor) -> tf.data.Dataset:
            single = tf.data.Dataset.from_tensor_slices((places, paths, errors))
            loaded = read_ahead(single, any_size).map(loader).ignore_errors()
            return loaded.batch(tf.size(places, tf.int64))

        names = tf.TensorSpec([None], tf.string)
        given = tf.data.Dataset.from_generator(
            lambda: self._feeder.give(),
            output_signature=(tf.TensorSpec([None], tf.int64), names, names),
        )
        loaded = given.interleave(
            tf.autograph.experimental.do_not_convert(load),
            cycle_length=cores,
            num_parallel_calls=cores,
            deterministic=True,
        )
        self._feeder: _Feeder
        self._batches = as_written(loaded.prefetch(1))

    def loaded(self, feeder: _Feeder) -> tf.data.Dataset:
        """Batches of (places, pixels, grey, errors, hashes), in order; the refused are missing."""
        self._feeder = feeder
        return self._batches


_idle: dict[tuple[Preprocessing, bool, bool, int], _Graph] = {}
"""Graphs whose feeder has come to its end, by what they were built for."""


@lru_cache(maxsize=4)
def _loader(preprocessing: Preprocessing, any_size: bool, hashed: bool) -> Loader:
    """The function that turns what was read of an image into one element of a batch."""

    def left(path: tf.Tensor) -> tuple[tf.Tensor, ...]:
        pixels, grey, error = tf.numpy_function(
            lambda raw: _read_and_decode(raw, any_size), [path], [tf.uint8, tf.bool, tf.string]
        )
        pixels = tf.ensure_shape(pixels, [None, None, 3])
        return pixels, tf.reshape(grey, []), tf.reshape(error, [])

    def load(
        place: tf.Tensor,
        kind: tf.Tensor,
        data: tf.Tensor,
        shape: tf.Tensor,
        grey: tf.Tensor,
        error: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        def decoded() -> tuple[tf.Tensor, ...]:
            pixels = tf.reshape(tf.io.decode_raw(data, tf.uint8), [shape[0], shape[1], 3])
            return pixels, grey, error

        ways = {
            FAILED: lambda: (tf.zeros([1, 1, 3], tf.uint8), grey, error),
            PLAIN: lambda: (decode_inflated(data), grey, error),
            PIXELS: decoded,
        }
        # Resized behind the ways, not in each: operations on a way not taken cost time as well.
        pixels, no_colour, fault = tf.switch_case(kind, ways, default=lambda: left(data))
        digest = tf.constant(0, tf.uint64)
        if hashed:
            digest = tf.reshape(tf.numpy_function(_hash, [pixels], tf.uint64), [])
        return place, resize(pixels, preprocessing), no_colour, fault, digest

    text, flag = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.bool)
    numbers = tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int32)
    spec = [*numbers, text, tf.TensorSpec([2], tf.int64), flag, text]
    return tf.function(load, input_signature=spec, autograph=False)


def _hash(pixels: npt.NDArray[np.uint8]) -> np.uint64:
    return np.frombuffer(sha256(pixels.tobytes()).digest(), ">u8", 1)[0].astype(np.uint64)


def _read_and_decode(path: bytes, any_size: bool) -> tuple[np.ndarray, bool, bytes]:
    try:
        decoded = decode(read(path), any_size=any_size)
    except UnreadableImageError as error:
        return np.zeros([1, 1, 3], np.uint8), False, str(error).encode()
    return decoded.pixels, decoded.grey, b""


def _refused(image: CellImage, any_size: bool) -> Loaded:
    """Look a second time at an image that dropped out of the graph, to learn the reason."""
    try:
        decode(Path(image.path).read_bytes(), any_size=any_size)
    except OSError as error:
        return Loaded(image, None, plain_reason(error))
    except UnreadableImageError as error:
        return Loaded(image, None, str(error))
    return Loaded(image, None, "damaged, or still being written when it was read: scan it again")
