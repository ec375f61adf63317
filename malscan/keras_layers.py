"""The Keras layers that a model file may have: their options, shapes and numbers of weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]
"""Of what one image has become, without the batch."""

Options = dict[str, Any]
Check = Callable[[Any], Any]
WorkOut = Callable[[Options, list[Shape]], tuple[Shape, int]]

LARGEST_NUMBER = 100_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of layers.

    Attributes:
        checks: by option, what makes a plain value of it, or raises `ValueError`.
        work_out: from options and input shapes to output shape and number of weights.
        needed: options that must be there.
        renamed: options that Keras 2 called otherwise.
    """

    checks: dict[str, Check]
    work_out: WorkOut
    needed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    def options(self, config: dict[str, Any]) -> Options:
        """The options that matter for inference, checked; all others are left out."""
        for old, new in self.renamed:
            if old in config:
                config = {**config, new: config[old]}
        for key in self.needed:
            config[key]
        return {
            key: check(config[key])
            for key, check in self.checks.items()
            if config.get(key) is not None
        }


def _whole(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= LARGEST_NUMBER:
        raise ValueError(f"not a whole number from 1 to {LARGEST_NUMBER}: {ascii(value)[:40]}")
    return value


def _signed(value: Any) -> int:
    return _whole(abs(value) + 1) and int(value)


def _pair(value: Any) -> tuple[int, int]:
    both = value if isinstance(value, list) else [value, value]
    first, second = map(_whole, both)
    return first, second


def _margins(value: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    def margin(side: Any) -> tuple[int, int]:
        first, second = side if isinstance(side, list) else [side, side]
        return _whole(first + 1) - 1, _whole(second + 1) - 1

    rows, columns = value if isinstance(value, list) else [value, value]
    return margin(rows), margin(columns)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"neither true nor false: {ascii(value)[:40]}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"not a number: {ascii(value)[:40]}")
    return float(value)


def _numbers(value: Any) -> float | list[float]:
    return [_number(part) for part in value] if isinstance(value, list) else _number(value)


def _axes(value: Any) -> int | list[int]:
    if isinstance(value, list):
        axes = [_signed(axis) for axis in value]
        return axes[0] if len(axes) == 1 else axes
    return _signed(value)


def _list_of_axes(value: Any) -> list[int]:
    axes = _axes(value)
    return axes if isinstance(axes, list) else [axes]


def _one_of(*known: str) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"{ascii(value)[:40]} is not known")
        return value

    return check


_padding = _one_of("valid", "same")
_activation = _one_of(
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "mish"),
    *("softplus", "softsign", "tanh", "exponential", "sigmoid", "softmax", "log_softmax"),
)
"""Without the hard ones, which Keras 2 and 3 compute differently."""


def _axis(axis: int, shape: Shape) -> int:
    """Place in the shape of an axis that is counted with the batch."""
    place = axis - 1 if axis > 0 else len(shape) + axis
    if axis == 0 or not 0 <= place < len(shape):
        raise ValueError(f"no axis {axis}")
    return place


def _image(shapes: list[Shape]) -> tuple[int, int, int]:
    rows, columns, channels = _single(shapes)
    return rows, columns, channels


def _single(shapes: list[Shape]) -> Shape:
    (shape,) = shapes
    return shape


def _slid(side: int, window: int, stride: int, padding: str, dilation: int = 1) -> int:
    """Number of places that a window has along a side."""
    if padding == "same":
        return -(-side // stride)
    return (side - (window - 1) * dilation - 1) // stride + 1


def _slid_image(options: Options, shape: Shape, window: tuple[int, int]) -> tuple[int, int]:
    strides = options.get("strides", (1, 1))
    dilation = options.get("dilation_rate", (1, 1))
    padding = options.get("padding", "valid")
    rows, columns = (_slid(shape[i], window[i], strides[i], padding, dilation[i]) for i in range(2))
    return rows, columns


def _same(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    return _single(shapes), 0


def _dense(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    *front, width = _single(shapes)
    units = options["units"]
    return (*front, units), (width + options.get("use_bias", True)) * units


def _convolution(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape, filters, window = _image(shapes), options["filters"], options["kernel_size"]
    groups = options.get("groups", 1)
    if shape[2] % groups or filters % groups:
        raise ValueError(f"{groups} groups do not divide {shape[2]} and {filters} channels")
    fan_in = math.prod(window) * (shape[2] // groups)
    parameters = (fan_in + options.get("use_bias", True)) * filters
    return (*_slid_image(options, shape, window), filters), parameters


def _depthwise(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape, window = _image(shapes), options["kernel_size"]
    channels = shape[2] * options.get("depth_multiplier", 1)
    parameters = (math.prod(window) + options.get("use_bias", True)) * channels
    return (*_slid_image(options, shape, window), channels), parameters


def _separable(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape, filters, window = _image(shapes), options["filters"], options["kernel_size"]
    channels = shape[2] * options.get("depth_multiplier", 1)
    parameters = math.prod(window) * channels
    parameters += (channels + options.get("use_bias", True)) * filters
    return (*_slid_image(options, shape, window), filters), parameters


def _pooling(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape, window = _image(shapes), options["pool_size"]
    return (*_slid_image({"strides": window, **options}, shape, window), shape[2]), 0


def _global_pooling(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    channels = _image(shapes)[2]
    return ((1, 1, channels) if options.get("keepdims") else (channels,)), 0


def _flatten(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    return (math.prod(_single(shapes)),), 0


def _batch_norm(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape = _single(shapes)
    arrays = 2 + options.get("center", True) + options.get("scale", True)
    return shape, arrays * shape[_axis(options.get("axis", -1), shape)]


def _layer_norm(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape = _single(shapes)
    axes = _list_of_axes(options.get("axis", -1))
    width = math.prod(shape[_axis(axis, shape)] for axis in axes)
    return shape, (options.get("center", True) + options.get("scale", True)) * width


def _prelu(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape = _single(shapes)
    shared = {_axis(axis, shape) for axis in options.get("shared_axes", [])}
    return shape, math.prod(side for place, side in enumerate(shape) if place not in shared)


def _softmax(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape = _single(shapes)
    _axis(options.get("axis", -1), shape)
    return shape, 0


def _zero_padding(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    rows, columns, channels = _image(shapes)
    above, beside = options.get("padding", ((1, 1), (1, 1)))
    return (rows + sum(above), columns + sum(beside), channels), 0


def _cropping(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    rows, columns, channels = _image(shapes)
    above, beside = options.get("cropping", ((0, 0), (0, 0)))
    return (rows - sum(above), columns - sum(beside), channels), 0


def _up_sampling(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    rows, columns, channels = _image(shapes)
    tall, wide = options.get("size", (2, 2))
    return (rows * tall, columns * wide, channels), 0


def _merged(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    if len(shapes) < 2 or len({len(shape) for shape in shapes}) > 1:
        raise ValueError("its inputs do not fit together")
    for sides in zip(*shapes, strict=True):
        if len(set(sides) - {1}) > 1:
            raise ValueError("its inputs do not fit together")
    return tuple(max(sides) for sides in zip(*shapes, strict=True)), 0


def _concatenated(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    place = _axis(options.get("axis", -1), shapes[0])
    rest = {shape[:place] + shape[place + 1 :] for shape in shapes}
    if len(shapes) < 2 or len(rest) > 1:
        raise ValueError("its inputs do not fit together")
    joined = sum(shape[place] for shape in shapes)
    return (*shapes[0][:place], joined, *shapes[0][place + 1 :]), 0


def _reshape(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    target, values = options["target_shape"], math.prod(_single(shapes))
    known = math.prod(side for side in target if side != -1)
    shape = tuple(values // known if side == -1 else side for side in target)
    if min(target) < -1 or target.count(-1) > 1 or math.prod(shape) != values:
        raise ValueError(f"{values} values do not make {ascii(target)[:40]}")
    return shape, 0


def _permuted(options: Options, shapes: list[Shape]) -> tuple[Shape, int]:
    shape, order = _single(shapes), options["dims"]
    if sorted(order) != list(range(1, len(shape) + 1)):
        raise ValueError("its dims are no order of the axes")
    return tuple(shape[place - 1] for place in order), 0


_WINDOW = {"strides": _pair, "padding": _padding, "dilation_rate": _pair, "use_bias": _flag}
_CONVOLUTION = {"filters": _whole, "kernel_size": _pair, "activation": _activation, **_WINDOW}
_DEPTHWISE = {
    "kernel_size": _pair,
    "depth_multiplier": _whole,
    "activation": _activation,
    **_WINDOW,
}
_POOLING = Kind(
    {"pool_size": _pair, "strides": _pair, "padding": _padding}, _pooling, needed=("pool_size",)
)
_GLOBAL_POOLING = Kind({"keepdims": _flag}, _global_pooling)
_NORM = {"epsilon": _number, "center": _flag, "scale": _flag}
_MERGE = Kind({}, _merged)
ONLY_TRAINING = (
    *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise"),
    "ActivityRegularization",
)
"""Layers that let everything through once training is over."""

LAYERS = {
    "InputLayer": Kind({}, _same),
    "Dense": Kind(
        {"units": _whole, "activation": _activation, "use_bias": _flag}, _dense, needed=("units",)
    ),
    "Conv2D": Kind(
        {**_CONVOLUTION, "groups": _whole}, _convolution, needed=("filters", "kernel_size")
    ),
    "DepthwiseConv2D": Kind(_DEPTHWISE, _depthwise, needed=("kernel_size",)),
    "SeparableConv2D": Kind(
        {**_CONVOLUTION, "depth_multiplier": _whole},
        _separable,
        needed=("filters", "kernel_size"),
    ),
    "MaxPooling2D": _POOLING,
    "AveragePooling2D": _POOLING,
    "GlobalAveragePooling2D": _GLOBAL_POOLING,
    "GlobalMaxPooling2D": _GLOBAL_POOLING,
    "Flatten": Kind({}, _flatten),
    "Reshape": Kind(
        {"target_shape": lambda sides: [_signed(side) for side in sides]},
        _reshape,
        needed=("target_shape",),
    ),
    "Permute": Kind({"dims": lambda dims: [_whole(dim) for dim in dims]}, _permuted, ("dims",)),
    "BatchNormalization": Kind({"axis": _axes, **_NORM}, _batch_norm),
    "LayerNormalization": Kind({"axis": _axes, **_NORM}, _layer_norm),
    "Activation": Kind({"activation": _activation}, _same, needed=("activation",)),
    "ReLU": Kind({"max_value": _number, "negative_slope": _number, "threshold": _number}, _same),
    "LeakyReLU": Kind({"negative_slope": _number}, _same, renamed=(("alpha", "negative_slope"),)),
    "PReLU": Kind({"shared_axes": _list_of_axes}, _prelu),
    "ELU": Kind({"alpha": _number}, _same),
    "Softmax": Kind({"axis": _axes}, _softmax),
    "ZeroPadding2D": Kind({"padding": _margins}, _zero_padding),
    "Cropping2D": Kind({"cropping": _margins}, _cropping),
    "UpSampling2D": Kind(
        {"size": _pair, "interpolation": _one_of("nearest", "bilinear")}, _up_sampling
    ),
    "Rescaling": Kind({"scale": _numbers, "offset": _numbers}, _same, needed=("scale",)),
    "Concatenate": Kind({"axis": _axes}, _concatenated),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _MERGE),
    **dict.fromkeys(ONLY_TRAINING, Kind({}, _same)),
}
"""By class name in `keras.layers`."""
