"""Decodes some files in Python before the graph meets them, several to a call.

A call from the graph into Python costs as much as decoding a cell. What the graph cannot decode
itself is therefore handed over in groups; the graph gets raw pixels back.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from malscan.decode import decode
from malscan.picture import UnreadableImageError

_GROUP = 32
_MOST_BYTES = 16 * 1024 * 1024
"""Pixels that a group may hold; what is over that is left to be decoded one by one."""
_DECODED_IN_THE_GRAPH = b".png"

Names = npt.NDArray[np.object_]


def decoded_ahead(single: tf.data.Dataset, any_size: bool) -> tf.data.Dataset:
    """Add to each image its pixels, unless the graph is to read it.

    Args:
        single: elements (place, path, error), scalars; an image with an error is passed by.
        any_size: accept images with a side over `malscan.decode.MAX_SIDE` pixels.

    Returns:
        Elements (place, path, error, raw, shape, grey): `raw` is a string of uint8 [height,
        width, 3], empty where nothing was decoded, and `shape` int64 [2] its height and width.
    """

    def decode_group(place: tf.Tensor, path: tf.Tensor, error: tf.Tensor) -> tuple[tf.Tensor, ...]:
        raw, shape, grey, errors = tf.numpy_function(
            _decoder(any_size), [path, error], [tf.string, tf.int64, tf.bool, tf.string]
        )
        columns = (tf.ensure_shape(column, [None]) for column in (errors, raw))
        rest = tf.ensure_shape(shape, [None, 2]), tf.ensure_shape(grey, [None])
        return place, path, *columns, *rest

    groups = single.batch(_GROUP).map(tf.autograph.experimental.do_not_convert(decode_group))
    return groups.unbatch()


def _decoder(any_size: bool) -> Callable[[Names, Names], tuple[npt.NDArray[np.generic], ...]]:
    def decode_all(paths: Names, errors: Names) -> tuple[npt.NDArray[np.generic], ...]:
        raw, shapes, grey, found = [], [], [], []
        room = _MOST_BYTES
        for path, error in zip(paths, errors, strict=True):
            pixels, is_grey = None, False
            if not error and room > 0 and not path.lower().endswith(_DECODED_IN_THE_GRAPH):
                try:
                    decoded = decode(_read(path), any_size=any_size)
                except UnreadableImageError as refusal:
                    error = str(refusal).encode()
                except Exception:
                    pass  # Not worth the whole group: the graph fails, too, and tells the reason.
                else:
                    pixels, is_grey = decoded.pixels, decoded.grey
                    room -= pixels.nbytes
            raw.append(b"" if pixels is None else pixels.tobytes())
            shapes.append((0, 0) if pixels is None else pixels.shape[:2])
            grey.append(is_grey)
            found.append(error)
        return (
            np.array(raw, np.object_),
            np.array(shapes, np.int64),
            np.array(grey, np.bool_),
            np.array(found, np.object_),
        )

    return decode_all


def _read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()
