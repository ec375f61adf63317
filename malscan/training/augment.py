"""Random changes that leave a cell's class as it is, made on whole batches in the graph.

Half of the images of a batch are changed lightly (flips, quarter turns, a little light and
colour), half heavily: another stain, light, scale, angle, background, neighbours, sharpness, noise.
The light half keeps the model right at home, the heavy half makes it rank cells of other
laboratories.
"""

import math

import tensorflow as tf

_MASK_LEVEL = 0.02
"""Pixels of which no channel is brighter (0..1) count as masked background."""


def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Change a batch at random: the first half heavily, the second half lightly.

    Args:
        images: float32 [batch, size, size, 3], 0..1, background black, in random order.
        seed: int32 [2], stateless: the same seed gives the same changes.

    Returns:
        float32 [batch, size, size, 3], 0..1.
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    # Batches come shuffled, so that halving them is as good as choosing at random; the same
    # holds for the thirds of the heavy half.
    half = tf.shape(images)[0] // 2
    heavy = _change_heavily(images[:half], seeds[0])
    light = _change_lightly(_turn_and_flip(images[half:], seeds[1]), seeds[2])
    return tf.concat([heavy, light], axis=0)


def mix_neighbours(
    images: tf.Tensor, targets: tf.Tensor, alpha: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each image, and its target, with the next one of the batch.

    Source: Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization.

    Args:
        images: float32 [batch, size, size, 3].
        targets: float32 [batch, classes].
        alpha: both parameters of the beta distribution of the shares, over 0.
        seed: int32 [2], stateless.

    Returns:
        Images and targets of the same shapes.
    """
    batch = tf.shape(images)[0]
    drawn = tf.random.stateless_gamma([batch, 2], seed, alpha)
    # Small alphas draw pairs that are both too small for float32.
    share = tf.math.divide_no_nan(drawn[:, 0], tf.reduce_sum(drawn, axis=1))
    share = tf.maximum(share, 1 - share)
    own = share[:, None, None, None]
    mixed = images * own + tf.roll(images, 1, 0) * (1 - own)
    return mixed, targets * share[:, None] + tf.roll(targets, 1, 0) * (1 - share[:, None])


def _turn_and_flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One of the eight symmetries of the square for each image."""
    batch = tf.shape(images)[0]
    choice = tf.random.stateless_uniform([batch, 3, 1, 1, 1], seed) < 0.5
    images = tf.where(choice[:, 0], tf.reverse(images, [1]), images)
    images = tf.where(choice[:, 1], tf.reverse(images, [2]), images)
    return tf.where(choice[:, 2], tf.transpose(images, [0, 2, 1, 3]), images)


def _mask(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.reduce_max(images, axis=-1, keepdims=True) > _MASK_LEVEL, tf.float32)


def _change_lightly(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Light and colour a little; black times anything stays black."""
    batch = tf.shape(images)[0]
    seeds = tf.unstack(tf.random.split(seed, 2))
    gain = tf.random.stateless_uniform([batch, 1, 1, 3], seeds[0], 0.92, 1.08)
    light = tf.random.stateless_uniform([batch, 1, 1, 1], seeds[1], 0.85, 1.15)
    return tf.clip_by_value(images * gain * light, 0.0, 1.0)


def _change_heavily(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    seeds = tf.unstack(tf.random.split(seed, 7))
    third = -(-tf.shape(images)[0] // 3)
    images = _warp(images, seeds[0])
    # A cell that was cut out along its edge lies on black and has no neighbours.
    images = tf.concat([_with_neighbours(images, third, seeds[1]), images[third:]], axis=0)
    mask = _mask(images)
    images = _mix_colours(images, seeds[2])
    images = _change_light(images, seeds[3])
    replaced = 2 * third
    bright = _replace_background(images[:replaced], mask[:replaced], seeds[4])
    images = tf.concat([bright, images[replaced:]], axis=0)
    images = _change_sharpness(images, seeds[5])
    return _add_noise(images, seeds[6])


def _warp(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Any angle, mirrored or not, zoom 0.65..1.25, stretch to 25 % along any axis, shift to 8 %."""
    batch, size = tf.shape(images)[0], tf.cast(tf.shape(images)[1], tf.float32)
    draw = tf.random.stateless_uniform([batch, 7], seed)
    zoom = 1 / (0.65 + 0.6 * draw[:, 0])
    mirror = tf.where(draw[:, 1] < 0.5, 1.0, -1.0)
    stretch = tf.exp((draw[:, 2] - 0.5) * 2 * math.log(1.25)) * mirror
    before, after = draw[:, 3] * 2 * math.pi, draw[:, 4] * 2 * math.pi
    shift = (draw[:, 5:] - 0.5) * 0.16 * size
    a, b = tf.cos(before) * zoom, -tf.sin(before) * zoom
    cos, sin = tf.cos(after), tf.sin(after)
    matrix = [
        [a * stretch * cos + b * sin, b * cos - a * stretch * sin],
        [a * sin - b * stretch * cos, b * stretch * sin + a * cos],
    ]
    return _transform(images, matrix, shift)


def _transform(images: tf.Tensor, matrix: list[list[tf.Tensor]], shift: tf.Tensor) -> tf.Tensor:
    """Take each pixel from where a matrix about the centre and a shift say; black around.

    Args:
        images: float32 [batch, size, size, 3].
        matrix: 2 x 2 of float32 [batch], from places in the result to places in the image.
        shift: float32 [batch, 2], pixels.
    """
    (a, b), (c, d) = matrix
    shape = tf.shape(images)
    centre = (tf.cast(shape[1], tf.float32) - 1) / 2
    offset_x = centre - a * centre - b * centre + shift[:, 0]
    offset_y = centre - c * centre - d * centre + shift[:, 1]
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, offset_x, c, d, offset_y, zero, zero], axis=1),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _with_neighbours(images: tf.Tensor, number: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Other cells of the batch reach into crops from two sides, behind the crop's own cell.

    Args:
        images: float32 [batch, size, size, 3], background black.
        number: int32 [], how many crops get neighbours, from the first on.
        seed: int32 [2].

    Returns:
        float32 [number, size, size, 3], the crops with neighbours.
    """
    size = tf.cast(tf.shape(images)[1], tf.float32)
    draw = tf.random.stateless_uniform([2, number, 2], seed)
    one, none = tf.ones([number]), tf.zeros([number])
    found = images[:number]
    for side in range(2):
        angle = draw[side, :, 0] * 2 * math.pi
        distance = (0.6 + 0.4 * draw[side, :, 1]) * size
        shift = tf.stack([tf.cos(angle) * distance, tf.sin(angle) * distance], axis=1)
        other = tf.roll(images, side + 1, axis=0)[:number]
        beside = _transform(other, [[one, none], [none, one]], shift)
        found = tf.where(_mask(found) > 0, found, beside)
    return found


def _mix_colours(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Another stain: a random 3 x 3 matrix near the identity mixes the channels."""
    batch = tf.shape(images)[0]
    matrix = tf.eye(3) + tf.random.stateless_normal([batch, 3, 3], seed, stddev=0.12)
    return _in_range(tf.einsum("bhwc,bcd->bhwd", images, matrix))


def _change_light(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    batch = tf.shape(images)[0]
    draw = tf.random.stateless_uniform([batch, 2, 1, 1, 1], seed)
    gamma = tf.exp((draw[:, 0] - 0.5) * 0.9)
    gain = 0.75 + 0.5 * draw[:, 1]
    return _in_range(tf.pow(tf.maximum(images, 1e-4), gamma) * gain)


def _in_range(images: tf.Tensor) -> tf.Tensor:
    """Darken images that are too bright, so that a stain stays apart from what is around it."""
    brightest = tf.reduce_max(images, axis=[1, 2, 3], keepdims=True)
    return tf.maximum(images, 0.0) / tf.maximum(brightest, 1.0)


def _replace_background(images: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A plain bright background of a random tint instead of black."""
    batch = tf.shape(images)[0]
    seeds = tf.unstack(tf.random.split(seed, 2))
    bright = tf.random.stateless_uniform([batch, 1, 1, 1], seeds[0], 0.6, 1.0)
    tint = tf.random.stateless_normal([batch, 1, 1, 3], seeds[1], stddev=0.06)
    background = tf.clip_by_value(bright + tint, 0.0, 1.0)
    # Resized pixels of the edge are half black: they would draw a line around each cell.
    inside = tf.cast(_mean_about(mask, 1) > 0.99, tf.float32)
    share = _mean_about(inside, 1)
    return images * share + background * (1 - share)


def _change_sharpness(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mix each image with its 5 x 5 mean, by none of it to most of it, or take some of it off."""
    batch = tf.shape(images)[0]
    draw = tf.random.stateless_uniform([batch, 1, 1, 1], seed, -0.9, 0.8)
    amount = tf.nn.relu(draw) - tf.nn.relu(-draw - 0.4)
    return images * (1 - amount) + _mean_about(images, 2) * amount


def _mean_about(images: tf.Tensor, reach: int) -> tf.Tensor:
    """Mean of the pixels up to `reach` to each side; a tenth of the time of pooling for it."""
    shape, side = tf.shape(images), 2 * reach + 1
    wide = tf.pad(images, [[0, 0], [reach, reach], [reach, reach], [0, 0]], "SYMMETRIC")
    rows = tf.add_n([wide[:, start : start + shape[1]] for start in range(side)])
    both = tf.add_n([rows[:, :, start : start + shape[2]] for start in range(side)])
    return both / side**2


def _add_noise(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    batch = tf.shape(images)[0]
    seeds = tf.unstack(tf.random.split(seed, 2))
    strength = tf.nn.relu(tf.random.stateless_uniform([batch, 1, 1, 1], seeds[0], -0.03, 0.04))
    # Uniform noise of the same variance: on a cell it looks the same, and costs a third.
    noise = tf.random.stateless_uniform(tf.shape(images), seeds[1], -(3**0.5), 3**0.5) * strength
    return tf.clip_by_value(images + noise, 0.0, 1.0)
