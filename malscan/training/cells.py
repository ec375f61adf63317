"""Labelled cells of one part, read once: in memory, on disk, or decoded anew in each epoch."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from malscan.errors import MalscanError
from malscan.labels import CLASSES
from malscan.pipeline import Loaded, batches
from malscan.preprocess import Preprocessing
from malscan.settings import DEFAULT_BATCH_SIZE
from malscan.training.settings import Cache
from malscan.walk import CellImage

Pixels = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_SHARE_OF_MEMORY = 0.25
"""Share of the machine's memory that decoded cells may take before `auto` leaves it alone."""


class PixelStore(Protocol):
    """Where the pixels of cells come from."""

    def batches(self, order: Places, batch_size: int) -> Iterator[Pixels]:
        """Pixels uint8 [at most batch_size, size, size, 3] of some cells, in a given order."""
        ...


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """Decoded cells in an array, which may be a file mapped into memory."""

    array: Pixels

    def batches(self, order: Places, batch_size: int) -> Iterator[Pixels]:
        """See `PixelStore`."""
        for start in range(0, len(order), batch_size):
            yield self.array[order[start : start + batch_size]]


@dataclass(frozen=True, slots=True)
class StreamedPixels:
    """Cells that are read and decoded again whenever they are asked for."""

    images: list[CellImage]
    preprocessing: Preprocessing
    any_size: bool

    def batches(self, order: Places, batch_size: int) -> Iterator[Pixels]:
        """See `PixelStore`.

        Raises:
            MalscanError: an image that could be read before cannot be read any more.
        """
        chosen = (self.images[place] for place in order)
        for batch in batches(
            chosen, self.preprocessing, batch_size=batch_size, any_size=self.any_size
        ):
            for item in batch.items:
                if item.error is not None:
                    raise MalscanError(
                        f"{item.image.path} could be read at first and cannot be now: {item.error}"
                    )
            if batch.pixels is not None:
                yield batch.pixels.numpy()[: len(batch.items)]


@dataclass(frozen=True, slots=True)
class Cells:
    """Readable cells of one part.

    Attributes:
        store: where their pixels come from.
        classes: int64 [cells], index into `malscan.labels.CLASSES`.
        hashes: uint64 [cells], hashes of their pixels before resizing.
        images: the records, in the same order.
        failed: images that could not be read, each with the reason.
    """

    store: PixelStore
    classes: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    images: list[CellImage]
    failed: list[tuple[CellImage, str]]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        """Bool [cells], whether a cell is labelled parasitized."""
        return self.classes == CLASSES.index("parasitized")

    @property
    def patients(self) -> list[str]:
        """Patient of each cell; the text `None` where it is unknown."""
        return [str(image.patient) for image in self.images]

    @property
    def known_patients(self) -> list[str] | None:
        """Patient of each cell; None unless all are known."""
        return None if any(image.patient is None for image in self.images) else self.patients

    def without(self, places: set[int]) -> "Cells":
        """The same cells but some."""
        if not places:
            return self
        kept = np.array([i for i in range(len(self)) if i not in places], np.int64)
        return replace(
            self,
            store=_Subset(self.store, kept),
            classes=self.classes[kept],
            hashes=self.hashes[kept],
            images=[self.images[i] for i in kept],
        )


@dataclass(frozen=True, slots=True)
class _Subset:
    """Some cells of a store, numbered anew."""

    store: PixelStore
    kept: Places

    def batches(self, order: Places, batch_size: int) -> Iterator[Pixels]:
        return self.store.batches(self.kept[order], batch_size)


def cache_for(images: int, preprocessing: Preprocessing, asked: Cache) -> Cache:
    """Where the decoded cells of a data set are to wait.

    Args:
        images: how many there are.
        preprocessing: gives the size of each.
        asked: what the user asked for; only `auto` is decided here.
    """
    if asked is not Cache.AUTO:
        return asked
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = images * preprocessing.size**2 * 3
    return Cache.MEMORY if needed <= _SHARE_OF_MEMORY * memory else Cache.NONE


def load_cells(
    images: Sequence[CellImage],
    preprocessing: Preprocessing,
    *,
    cache: Cache = Cache.MEMORY,
    cache_file: Path | None = None,
    any_size: bool = False,
    on_images: Callable[[int], object] = lambda done: None,
) -> Cells:
    """Read all images of one part once.

    Args:
        images: records with label.
        preprocessing: what the network wants.
        cache: where to leave the pixels; not `auto`.
        cache_file: file for `Cache.DISK`; it is replaced.
        any_size: accept images with a side over 512 pixels.
        on_images: called with the number of images of each batch that was read.

    Raises:
        MalscanError: the cache file cannot be written.
    """
    array = _new_array(len(images), preprocessing.size, cache, cache_file)
    kept: list[Loaded] = []
    failed: list[tuple[CellImage, str]] = []
    for batch in batches(
        images, preprocessing, batch_size=DEFAULT_BATCH_SIZE, any_size=any_size, hashed=True
    ):
        failed += [(item.image, str(item.error)) for item in batch.items if item.slot is None]
        readable = [item for item in batch.items if item.slot is not None]
        if array is not None and batch.pixels is not None:
            slots = [item.slot for item in readable]
            array[len(kept) : len(kept) + len(slots)] = batch.pixels.numpy()[slots]
        kept += readable
        on_images(len(batch.items))
    records = [item.image for item in kept]
    store: PixelStore = StreamedPixels(records, preprocessing, any_size)
    if array is not None:
        store = StoredPixels(array[: len(kept)])
    classes = np.array([CLASSES.index(str(image.label)) for image in records], np.int64)
    hashes = np.array([item.pixel_hash for item in kept], np.uint64)
    return Cells(store, classes, hashes, records, failed)


def _new_array(images: int, size: int, cache: Cache, file: Path | None) -> Pixels | None:
    shape = (images, size, size, 3)
    if cache is Cache.MEMORY:
        return np.empty(shape, np.uint8)
    if cache is Cache.NONE or images == 0:
        return None
    assert file is not None
    try:
        # Reserved now: a disk that fills up later would kill the process at a write to the map.
        with file.open("wb") as opened:
            os.posix_fallocate(opened.fileno(), 0, int(np.prod(shape)))
        return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise MalscanError(
            f"cannot make the cache {file} of {np.prod(shape) / 1e6:.0f} MB: {error.strerror}. "
            "Make room, or take another --cache."
        ) from None
