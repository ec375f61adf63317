"""How decoded pixels become model input; the model names it, so that all commands agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from malscan.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to every image before a network sees it.

    Attributes:
        size: side of the square model input, in pixels; images are stretched to it.
        kernel: how pixels are resized.
        rescale: factor from uint8 pixels to network input.
    """

    size: int
    kernel: Kernel
    rescale: float = 1 / 255


def resize(images: Sequence[tf.Tensor], preprocessing: Preprocessing) -> tf.Tensor:
    """Resize images, each from its own size.

    Args:
        images: uint8 tensors [height, width, 3].
        preprocessing: target size and kernel.

    Returns:
        uint8 tensor [images, size, size, 3]; whole numbers, so that a cached training image and a
        freshly read one are the same to the bit.
    """
    size = preprocessing.size
    if preprocessing.kernel is Kernel.PILLOW_NEAREST:
        return tf.stack([_resize_like_pillow_nearest(pixels, size) for pixels in images])
    # What `tf.image.resize` would do, without its dozen of operations for shapes.
    if preprocessing.kernel is Kernel.AREA:
        kernel, options = tf.raw_ops.ResizeArea, {}
    else:
        kernel, options = tf.raw_ops.ResizeBilinear, {"half_pixel_centers": True}
    batches = (tf.expand_dims(pixels, 0) for pixels in images)
    resized = [kernel(images=batch, size=[size, size], **options) for batch in batches]
    rounded = tf.cast(tf.round(tf.concat(resized, 0)), tf.uint8)
    return tf.ensure_shape(rounded, [len(images), size, size, 3])


def _resize_like_pillow_nearest(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Nearest neighbour with the rounding of Pillow, which Keras' image loader uses.

    Pillow adds up the source coordinate step by step in double precision; `tf.image` computes
    it afresh for each pixel and lands on another neighbour at many sizes.
    """
    shape = tf.shape(pixels)
    rows = _accumulated_coordinates(shape[0], size)
    columns = _accumulated_coordinates(shape[1], size)
    return tf.gather(tf.gather(pixels, rows, axis=0), columns, axis=1)


def _accumulated_coordinates(length: tf.Tensor, size: int) -> tf.Tensor:
    step = tf.cast(length, tf.float64) / size
    steps = tf.concat([[step * 0.5], tf.fill([size - 1], step)], axis=0)
    return tf.cast(tf.cumsum(steps), tf.int32)
