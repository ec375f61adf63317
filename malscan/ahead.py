"""Reads files in Python before the graph meets them, several to a call.

Python reads a file and looks at its header in a fifth of the time that operations of a graph
take. Plain PNG are inflated and go on to the graph, to be decoded there without Python's lock: a
decoder that is three times as fast but holds it was tried, and on two cores threads waited for
longer than it saved. Whatever else is decoded here, since a call from the graph into Python costs
as much as decoding a cell.
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.decode import decode
from malscan.picture import MAX_SIDE, UNDECODABLE, Pixels, UnreadableImageError, plain_reason
from malscan.plain_png import inflated, is_plain, wrapped
from malscan.preprocess import Preprocessing, resize

_GROUP = 32
"""Images to a call, at most."""
_GROUP_PIXELS = _GROUP * 256**2
"""Pixels of network input to a call, unless one image has more: the graph holds them as floats."""

BLANK = wrapped(np.zeros([1, 1, 3], np.uint8))
"""Stands in the place of an image that cannot be read."""

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Reader:
    """How images are read.

    Attributes:
        preprocessing: size and kernel of what very large pictures are resized to at once.
        any_size: accept images with a side over `malscan.picture.MAX_SIDE` pixels.
        hashed: whether hashes are asked for.
        batch_size: images to a batch.
    """

    preprocessing: Preprocessing
    any_size: bool
    hashed: bool
    batch_size: int

    @property
    def group(self) -> int:
        """Images to a call."""
        room = _GROUP_PIXELS // self.preprocessing.size**2
        return max(1, min(_GROUP, self.batch_size, room))

    def read_group(self, paths: Texts, errors: Texts) -> tuple[npt.NDArray[np.generic], ...]:
        """Read some images, and decode those that the graph is not to decode.

        Args:
            paths: bytes [group].
            errors: bytes [group]; an image with an error is passed by.

        Returns:
            A PNG of each that decodes without inflating and without fault (`BLANK` where there is
            an error), whether it is grey, its error, and its hash if the pixels it is taken of do
            not go on, otherwise 0: object, bool, object and uint64, each [group].

        Raises:
            MemoryError: there is not enough to read an image, which is not to blame.
        """
        pngs, grey = np.full(len(paths), BLANK, np.object_), np.zeros(len(paths), np.bool_)
        hashes, errors = np.zeros(len(paths), np.uint64), errors.copy()
        for place, path in enumerate(paths):
            if errors[place]:
                continue
            try:
                data = _read(path)
                plain = inflated(data) if is_plain(data) else None
                if plain is None:
                    decoded = decode(data, any_size=self.any_size)
                    grey[place] = decoded.grey
                    plain, hashes[place] = self._reduced(decoded.pixels)
                pngs[place] = plain
            except MemoryError:
                raise
            except tf.errors.ResourceExhaustedError:
                raise MemoryError from None
            except Exception as fault:
                errors[place] = _reason(fault)
        return pngs, grey, errors, hashes

    def _reduced(self, pixels: Pixels) -> tuple[bytes, np.uint64]:
        """A PNG of the pixels, or of what is resized at once: a group of large ones fills memory.

        To resize again to the same size changes nothing.
        """
        if max(pixels.shape) <= MAX_SIDE:
            return wrapped(pixels), np.uint64(0)
        digest = hash_of(pixels) if self.hashed else np.uint64(0)
        with tf.device("CPU:0"):
            return wrapped(resize([pixels], self.preprocessing)[0].numpy()), digest


def hash_of(pixels: Pixels) -> np.uint64:
    """The first 64 bits of the SHA-256 of pixels, row by row."""
    return np.frombuffer(sha256(pixels.tobytes()).digest(), ">u8", 1)[0].astype(np.uint64)


def _reason(fault: Exception) -> bytes:
    """Why an image is refused, never empty; what nobody foresaw must not end the scan of all."""
    text = ""
    if isinstance(fault, OSError):
        text = plain_reason(fault)
    elif isinstance(fault, UnreadableImageError):
        text = str(fault)
    return (text or UNDECODABLE).encode(errors="backslashreplace")


def _read(path: bytes) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
