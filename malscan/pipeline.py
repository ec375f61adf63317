"""The one path from files to batches, for training, evaluation and scanning alike.

Images go through tf.data: read, header check, decode, resize, batch, prefetch. An image that
the decoder refuses drops out of the graph; its number tells which one is missing, so it comes
out as a failure with a reason, and every image that went in is accounted for.
"""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf

from malscan.decode import MAX_BYTES, UnreadableImageError, decode, decode_plain, is_plain
from malscan.preprocess import Preprocessing, resize
from malscan.walk import CellImage

_CHUNK = 1024
"""Paths handed to the graph at a time: one by one the hand-over would be the bottleneck."""
_PULSE = -1
"""Number of the element that ends each chunk. It always arrives, so that a long run of
refused images cannot keep a batch from filling up, and with it the progress from showing."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one image.

    Attributes:
        image: the image that went in.
        slot: its place in the pixels of the batch; None if it failed.
        error: why it failed; None if it did not.
        grey: whether the file holds no colour.
    """

    image: CellImage
    slot: int | None
    error: str | None
    grey: bool = False


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
    images: Iterable[CellImage],
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    any_size: bool = False,
) -> Iterator[Batch]:
    """Read, check, decode and resize images, in order, while the caller works on the last batch.

    Args:
        images: may be lazy; it is drawn from another thread, a little ahead of the batches.
        preprocessing: what the model wants.
        batch_size: images to a batch.
        any_size: accept images with a side over `malscan.decode.MAX_SIDE` pixels.

    Yields:
        Batches whose items, taken together, are the images that went in, in the same order.

    Raises:
        Exception: whatever iterating over `images` raises.
    """
    feeder = _Feeder(images)
    for numbers, pixels, grey, errors in _dataset(feeder, preprocessing, batch_size, any_size):
        items: list[Loaded] = []
        facts = zip(numbers.numpy(), grey.numpy(), errors.numpy(), strict=True)
        for slot, (number, is_grey, error) in enumerate(facts):
            if number == _PULSE:
                continue
            items += (_refused(image, any_size) for image in feeder.take_until(number))
            (image,) = feeder.take_until(number + 1)
            if error:
                items.append(Loaded(image, None, error.decode()))
            else:
                items.append(Loaded(image, slot, None, bool(is_grey)))
        yield Batch(_padded(pixels, batch_size), items)
    if feeder.fault:
        raise feeder.fault
    if rest := [_refused(image, any_size) for image in feeder.take_all()]:
        yield Batch(None, rest)


class _Feeder:
    """Numbers the images for the graph and keeps their records until they come back."""

    def __init__(self, images: Iterable[CellImage]) -> None:
        self._images = iter(images)
        self._waiting: deque[CellImage] = deque()
        self._taken = 0
        self._given = 0
        self.fault: Exception | None = None

    def chunks(self) -> Iterator[tuple[list[int], list[bytes], list[str]]]:
        """Numbers, paths and already known errors of the next images, and a pulse."""
        while chunk := self._next_chunk():
            numbers = [*range(self._given, self._given + len(chunk)), _PULSE]
            errors = [image.error or _fault_of_file(image.path) or "" for image in chunk]
            self._waiting.extend(chunk)
            self._given += len(chunk)
            yield numbers, [*(_path_for_graph(image.path) for image in chunk), b""], [*errors, "-"]

    def _next_chunk(self) -> list[CellImage]:
        """The next images; a fault of their source is kept for the thread that asked."""
        try:
            return list(islice(self._images, _CHUNK))
        except Exception as fault:
            self.fault = fault
            return []

    def take_until(self, number: int) -> Iterator[CellImage]:
        while self._taken < number:
            self._taken += 1
            yield self._waiting.popleft()

    def take_all(self) -> Iterator[CellImage]:
        return self.take_until(self._given)


def _dataset(
    feeder: _Feeder, preprocessing: Preprocessing, batch_size: int, any_size: bool
) -> tf.data.Dataset:
    chunk = (
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.string),
        tf.TensorSpec([None], tf.string),
    )
    return (
        tf.data.Dataset.from_generator(feeder.chunks, output_signature=chunk)
        .unbatch()
        .map(
            _loader(preprocessing, any_size),
            num_parallel_calls=len(os.sched_getaffinity(0)),
            deterministic=True,
        )
        .ignore_errors()
        .batch(batch_size)
        .prefetch(2)
    )


def _loader(
    preprocessing: Preprocessing, any_size: bool
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]:
    """The function that turns one numbered path into one element of a batch."""
    size = preprocessing.size
    blank = tf.zeros([size, size, 3], tf.uint8)

    def plain(data: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return resize(decode_plain(data), preprocessing), tf.constant(False), tf.constant(b"")

    def careful(data: tf.Tensor) -> tuple[tf.Tensor, ...]:
        pixels, grey, error = tf.numpy_function(
            lambda raw: _decode_carefully(raw, any_size), [data], [tf.uint8, tf.bool, tf.string]
        )
        pixels = tf.ensure_shape(pixels, [None, None, 3])
        return resize(pixels, preprocessing), tf.reshape(grey, []), tf.reshape(error, [])

    def read(path: tf.Tensor) -> tuple[tf.Tensor, ...]:
        data = tf.io.read_file(path)
        return tf.cond(is_plain(data, any_size), lambda: plain(data), lambda: careful(data))

    def load(number: tf.Tensor, path: tf.Tensor, error: tf.Tensor) -> tuple[tf.Tensor, ...]:
        known = tf.not_equal(error, b"")
        return number, *tf.cond(
            known, lambda: (blank, tf.constant(False), error), lambda: read(path)
        )

    return tf.autograph.experimental.do_not_convert(load)


def _decode_carefully(data: bytes, any_size: bool) -> tuple[np.ndarray, bool, bytes]:
    try:
        decoded = decode(data, any_size=any_size)
    except UnreadableImageError as error:
        return np.zeros([1, 1, 3], np.uint8), False, str(error).encode()
    return decoded.pixels, decoded.grey, b""


def _fault_of_file(path: str) -> str | None:
    """Why a file must not be opened at all: a FIFO would block, a huge file fill the memory."""
    try:
        status = os.stat(path)
    except OSError as error:
        return _plain(error)
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_size > MAX_BYTES:
        return f"too large: a file of {status.st_size / 1e6:.0f} MB"
    return None


def _refused(image: CellImage, any_size: bool) -> Loaded:
    """Look a second time at an image that dropped out of the graph, to learn the reason."""
    try:
        decode(Path(image.path).read_bytes(), any_size=any_size)
    except OSError as error:
        return Loaded(image, None, _plain(error))
    except UnreadableImageError as error:
        return Loaded(image, None, str(error))
    return Loaded(image, None, "damaged, or still being written when it was read: scan it again")


def _path_for_graph(path: str) -> bytes:
    """Bytes of a path; relative ones get `./` so that none is taken for a remote address."""
    raw = os.fsencode(path)
    return raw if raw.startswith(b"/") else b"./" + raw


def _padded(pixels: tf.Tensor, batch_size: int) -> tf.Tensor:
    """Fill up the last batch: with one shape a probability cannot depend on its neighbours."""
    missing = batch_size - pixels.shape[0]
    return tf.pad(pixels, [[0, missing], [0, 0], [0, 0], [0, 0]]) if missing else pixels


def _plain(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
