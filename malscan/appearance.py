"""What a crop looks like, in numbers: cut-out, colour and sharpness, from the model's own input.

The network's own features are left out on purpose: it is trained to see past stain, background,
blur and noise, and with its features those could not be told from ordinary cells.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from malscan.unlike import UsualCells

_ROWS = 16
_DARK, _DIM = 15, 76
"""Values up to which a pixel is background, and up to which it may be a mixture with it."""
_LEAST_VARIANCE = 1e-5
_LEAST_DETAIL = 2e-4


def appearance(pixels: tf.Tensor) -> tf.Tensor:
    """Statistics of the appearance of each crop.

    Area of the cell, share of pixels between cell and black background, and brightness of the
    corners come from 16 rows and the four corners. Everything else comes from the square of three
    eighths of the side in the middle, which lies inside a cell that fills its crop: mean,
    logarithm of the standard deviation and correlations of the channels, and the logarithm of
    the mean absolute mixed difference, f(x, y) - f(x + d, y) - f(x, y + d) + f(x + d, y + d), at
    distances of 1 and 3 pixels, and at 1 pixel of the difference of two channels. A blur lowers
    these, noise raises them.

    Whole rows of memory are cut out, and channels are told apart by a sparse matrix: a reduction
    over three channels takes ten times as long, which would be felt in a scan.

    Args:
        pixels: uint8 [batch, size, size, 3], resized as for the network; size at least 16.

    Returns:
        float32 [batch, statistics], finite, in the order of `malscan.unlike.STATISTICS`; each row
        depends on its own crop only.
    """
    size = pixels.shape[1]
    start, side = size * 5 // 16, size * 3 // 8
    middle = tf.cast(pixels[:, start : start + side, start : start + side], tf.float32) / 255
    mean = _by_channel(_flat(middle))
    # Taken off before anything is squared: of an even cell, little more than rounding is left.
    lines = tf.reshape(middle, [-1, side, 3 * side]) - tf.tile(mean, [1, side])[:, None]
    return tf.concat([_cut_out(pixels), mean, _spread(lines), _detail(lines)], axis=1)


def distance_from(usual: UsualCells, size: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function from pixels to the distance from usual cells; its first call compiles it.

    Args:
        usual: what cells of the training look like.
        size: side of the network input, pixels.

    Returns:
        Function from uint8 [batch, size, size, 3] to float32 [batch], Mahalanobis distances.
    """
    centre, whitening = tf.constant(usual.centre), tf.constant(usual.whitening)

    def distance(pixels: tf.Tensor) -> tf.Tensor:
        return tf.norm((appearance(pixels) - centre) @ whitening, axis=1)

    spec = [tf.TensorSpec([None, size, size, 3], tf.uint8)]
    compiled: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        distance, input_signature=spec, jit_compile=False, autograph=False
    )
    return compiled


def _cut_out(pixels: tf.Tensor) -> tf.Tensor:
    """Area of the cell, dark rim, brightness of the corners; float32 [batch, 3]."""
    size = pixels.shape[1]
    places = (np.arange(_ROWS) * size + size // 2) // _ROWS
    rows = tf.gather(pixels, places, axis=1)
    cell = _mean(tf.cast(rows > _DARK, tf.float32))
    bright = _mean(tf.cast(rows > _DIM, tf.float32))
    edge = size // 10
    sides = (slice(None, edge), slice(-edge, None))
    corners = [_mean(tf.cast(pixels[:, y, x], tf.float32)) for y in sides for x in sides]
    return tf.stack([cell, cell - bright, tf.add_n(corners) / (4 * 255)], axis=1)


def _spread(lines: tf.Tensor) -> tf.Tensor:
    """Spreads and correlations of the channels, whose means are 0; float32 [batch, 6]."""
    count = lines.shape[1] * lines.shape[2] // 3
    flat = tf.reshape(lines, [-1, count, 3])
    covariance = tf.matmul(flat, flat, transpose_a=True) / count
    spread = tf.sqrt(tf.maximum(tf.linalg.diag_part(covariance), _LEAST_VARIANCE))
    correlation = covariance / (spread[:, :, None] * spread[:, None, :])
    return tf.concat(
        [tf.math.log(spread), tf.gather(_flat(correlation), [1, 5, 2], axis=1)], axis=1
    )


def _detail(lines: tf.Tensor) -> tf.Tensor:
    """Fine and coarse detail, and fine detail of colour; float32 [batch, 4]."""
    fine, coarse = _mixed_difference(lines, 1), _mixed_difference(lines, 3)
    between = tf.abs(fine[:, :, 1:] - fine[:, :, :-1])
    # Filled up to whole pixels; the third of each three is between two pixels and not wanted.
    colour = _by_channel(_flat(tf.pad(between, [[0, 0], [0, 0], [0, 1]])))
    plain = tf.stack([_mean(tf.abs(fine)), _mean(tf.abs(coarse))], axis=1)
    return tf.math.log(tf.concat([plain, colour[:, :2]], axis=1) + _LEAST_DETAIL)


def _mixed_difference(lines: tf.Tensor, step: int) -> tf.Tensor:
    """Differences across, a step apart, of differences along; channels lie side by side."""
    along = lines[:, :, 3 * step :] - lines[:, :, : -3 * step]
    return along[:, step:] - along[:, :-step]


def _by_channel(values: tf.Tensor) -> tf.Tensor:
    """Mean of every third value, from the first, second and third on; float32 [batch, 3]."""
    count = values.shape[1]
    selected = np.zeros([count, 3], np.float32)
    selected[np.arange(count), np.arange(count) % 3] = 1
    return values @ tf.constant(selected / selected.sum(axis=0))


def _mean(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(_flat(values), axis=1)


def _flat(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [-1, int(np.prod(values.shape[1:]))])
