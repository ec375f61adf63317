"""Reads files in Python before the graph meets them, several to a call.

Python reads a file and looks at its header in a fifth of the time that operations of a graph
take. Plain PNG are inflated and go on to the graph, to be decoded there without Python's lock: a
decoder that is three times as fast but holds it was tried, and on two cores threads waited for
longer than it saved. Whatever else is decoded here, since a call from the graph into Python costs
as much as decoding a cell.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.decode import decode
from malscan.picture import UnreadableImageError, plain_reason
from malscan.plain_png import inflated, is_plain

FAILED, PLAIN, PIXELS, LEFT = range(4)
"""What became of an image: an error is known, or there is a PNG, pixels, or a path."""

_GROUP = 32
_MOST_BYTES = 16 * 1024 * 1024
"""Bytes that a group may hold; what is over that is left to be read one by one."""

Names = npt.NDArray[np.object_]


def read_ahead(single: tf.data.Dataset, any_size: bool) -> tf.data.Dataset:
    """Read images, and decode those that the graph is not to decode.

    Args:
        single: elements (place, path, error), scalars; an image with an error is passed by.
        any_size: accept images with a side over `malscan.decode.MAX_SIDE` pixels.

    Returns:
        Elements (place, kind, data, shape, grey, error): `kind` int32 says what `data` is, a
        string of bytes: nothing, an inflated PNG, uint8 [height, width, 3], or the path of a file
        that is still to be read; `shape` int64 [2] is height and width of the pixels.
    """

    def read_group(place: tf.Tensor, path: tf.Tensor, error: tf.Tensor) -> tuple[tf.Tensor, ...]:
        kinds = [tf.int32, tf.string, tf.int64, tf.bool, tf.string]
        found = tf.numpy_function(_reader(any_size), [path, error], kinds)
        kind, data, shape, grey, errors = found
        columns = (tf.ensure_shape(column, [None]) for column in (kind, data))
        rest = (tf.ensure_shape(column, [None]) for column in (grey, errors))
        return place, *columns, tf.ensure_shape(shape, [None, 2]), *rest

    groups = single.batch(_GROUP).map(tf.autograph.experimental.do_not_convert(read_group))
    return groups.unbatch()


def read(path: bytes) -> bytes:
    """The bytes of a file."""
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _reader(any_size: bool) -> Callable[[Names, Names], tuple[npt.NDArray[np.generic], ...]]:
    def read_all(paths: Names, errors: Names) -> tuple[npt.NDArray[np.generic], ...]:
        count = len(paths)
        kinds, shapes = np.full(count, FAILED, np.int32), np.zeros([count, 2], np.int64)
        found, grey = np.full(count, b"", np.object_), np.zeros(count, np.bool_)
        room = _MOST_BYTES
        for place, path in enumerate(paths):
            if errors[place]:
                continue
            kinds[place], found[place] = LEFT, path
            if room <= 0:
                continue
            try:
                data = read(path)
                plain = inflated(data) if is_plain(data, any_size) else None
                if plain is not None:
                    kinds[place], found[place] = PLAIN, plain
                else:
                    decoded = decode(data, any_size=any_size)
                    kinds[place], found[place] = PIXELS, decoded.pixels.tobytes()
                    shapes[place], grey[place] = decoded.pixels.shape[:2], decoded.grey
            except OSError as fault:
                kinds[place], errors[place] = FAILED, plain_reason(fault).encode()
            except UnreadableImageError as refusal:
                kinds[place], errors[place] = FAILED, str(refusal).encode()
            except Exception:
                continue  # Not worth the whole group: it happens again, where the reason is told.
            room -= len(found[place])
        return kinds, found, shapes, grey, errors

    return read_all
