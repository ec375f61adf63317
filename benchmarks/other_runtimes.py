"""The networks of malscan in PyTorch, ONNX Runtime and OpenVINO, weights and all.

A Keras network is written down as a list of plain operations (`operations_of`), which each of the
other runtimes is then given in its own way. None of them is loaded before it is asked for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Run = Callable[[npt.NDArray[np.uint8]], Floats]
"""From pixels [batch, size, size, 3] to the probabilities of the first class [batch]."""


@dataclass(frozen=True)
class Operation:
    """One operation of a network.

    Attributes:
        kind: `conv`, `relu`, `add`, `maxpool`, `mean`, `maximum`, `concat`, `flatten` or `dense`.
        name: of its output.
        sources: names of what it takes.
        kernel: of a convolution [height, width, in, out], or of a dense layer [in, out].
        bias: [out].
        stride: of a convolution, or the size of a pool.
        pads: rows and columns to add before and after, `(before, after)`.
        activation: what comes after it: `linear`, `relu` or `softmax`.
    """

    kind: str
    name: str
    sources: tuple[str, ...]
    kernel: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    bias: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    stride: int = 1
    pads: tuple[int, int] = (0, 0)
    activation: str = "linear"


INPUT = "pixels"
_POOLED = {"GlobalAveragePooling2D": "mean", "GlobalMaxPooling2D": "maximum"}
_PLAIN = {"ReLU": "relu", "Add": "add", "Concatenate": "concat", "Flatten": "flatten", **_POOLED}


def operations_of(network: Any) -> list[Operation]:
    """The operations of a Keras network without batch normalisation, in their order."""
    found: list[Operation] = []
    names = {id(tensor): INPUT for tensor in network.inputs}
    for layer in network.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        tensors = layer.input if isinstance(layer.input, list) else [layer.input]
        sources = tuple(names[id(tensor)] for tensor in tensors)
        names[id(layer.output)] = layer.name
        if type(layer).__name__ == "Dropout":
            names[id(layer.output)] = sources[0]
        else:
            found.append(_operation(layer, sources))
    return found


def _operation(layer: Any, sources: tuple[str, ...]) -> Operation:
    kind = type(layer).__name__
    if kind in _PLAIN:
        return Operation(_PLAIN[kind], layer.name, sources)
    if kind == "MaxPooling2D":
        return Operation("maxpool", layer.name, sources, stride=layer.pool_size[0])
    kernel, bias = layer.get_weights()
    activation = layer.activation.__name__
    if kind == "Dense":
        return Operation("dense", layer.name, sources, kernel, bias, activation=activation)
    stride, size = layer.strides[0], layer.input.shape[1]
    missing = max((-(-size // stride) - 1) * stride + kernel.shape[0] - size, 0)
    pads = (missing // 2, missing - missing // 2) if layer.padding == "same" else (0, 0)
    return Operation("conv", layer.name, sources, kernel, bias, stride, pads, activation)


def onnx_model(operations: Iterable[Operation], size: int) -> bytes:
    """The network as ONNX: float32 [batch, 3, size, size] in, softmax [batch, 2] out."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, constants = [], []

    def constant(name: str, values: npt.NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(kind: str, sources: Iterable[str], name: str, **options: Any) -> None:
        nodes.append(helper.make_node(kind, list(sources), [name], **options))

    for one in operations:
        raw = one.name if one.activation == "linear" else f"{one.name}_raw"
        if one.kind == "conv":
            kernel = constant(f"{one.name}_kernel", one.kernel.transpose(3, 2, 0, 1))
            pads = [one.pads[0]] * 2 + [one.pads[1]] * 2
            weights = [kernel, constant(f"{one.name}_bias", one.bias)]
            add("Conv", [*one.sources, *weights], raw, strides=[one.stride] * 2, pads=pads)
        elif one.kind == "dense":
            weights = [constant(f"{one.name}_kernel", one.kernel)]
            weights.append(constant(f"{one.name}_bias", one.bias))
            add("Gemm", [*one.sources, *weights], raw)
        elif one.kind == "maxpool":
            side = [one.stride] * 2
            add("MaxPool", one.sources, raw, kernel_shape=side, strides=side)
        elif one.kind in ("mean", "maximum"):
            kind = {"mean": "GlobalAveragePool", "maximum": "GlobalMaxPool"}[one.kind]
            add(kind, one.sources, f"{one.name}_map")
            add("Flatten", [f"{one.name}_map"], raw)
        elif one.kind == "flatten":
            add("Transpose", one.sources, f"{one.name}_last", perm=[0, 2, 3, 1])
            add("Flatten", [f"{one.name}_last"], raw)
        elif one.kind == "concat":
            add("Concat", one.sources, raw, axis=1)
        else:
            add({"relu": "Relu", "add": "Add"}[one.kind], one.sources, raw)
        if one.activation != "linear":
            add({"relu": "Relu", "softmax": "Softmax"}[one.activation], [raw], one.name)
    last = nodes[-1].output[0]
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(INPUT, kind, ["batch", 3, size, size])],
        [helper.make_tensor_value_info(last, kind, ["batch", 2])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def onnx_runtime(model: Path, rescale: float, cores: int) -> Run:
    """The network in ONNX Runtime, float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(pixels: npt.NDArray[np.uint8]) -> Floats:
        return np.asarray(session.run(None, {INPUT: _channels_first(pixels, rescale)})[0][:, 0])

    return run


def openvino(model: Path, rescale: float, cores: int, precision: str) -> Run:
    """The network in OpenVINO, a batch at a time on all cores, in `f32` or `bf16`."""
    import openvino as ov

    core = ov.Core()
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": cores}
    compiled = core.compile_model(core.read_model(model), "CPU", settings)

    def run(pixels: npt.NDArray[np.uint8]) -> Floats:
        return np.asarray(compiled(_channels_first(pixels, rescale))[0][:, 0])

    return run


def _channels_first(pixels: npt.NDArray[np.uint8], rescale: float) -> Floats:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32) * np.float32(rescale)


def torch_network(operations: list[Operation], *, bfloat16: bool) -> Callable[[Any], Floats]:
    """The network in PyTorch, channels last; takes float32 [batch, 3, size, size]."""
    import torch
    from torch.nn import functional

    dtype = torch.bfloat16 if bfloat16 else torch.float32
    weights = {one.name: _torch_weights(one, dtype) for one in operations if one.kernel.size}
    activations = {
        "linear": lambda x: x,
        "relu": functional.relu,
        "softmax": lambda x: functional.softmax(x.float(), dim=1),
    }

    def convolution(one: Operation, x: Any) -> Any:
        before, after = one.pads
        if before != after:
            x = functional.pad(x, (before, after, before, after))
        padding = before if before == after else 0
        return functional.conv2d(x, *weights[one.name], one.stride, padding)

    kinds: dict[str, Callable[..., Any]] = {
        "conv": convolution,
        "dense": lambda one, x: functional.linear(x, *weights[one.name]),
        "maxpool": lambda one, x: functional.max_pool2d(x, one.stride),
        "mean": lambda one, x: x.mean((2, 3)),
        "maximum": lambda one, x: x.amax((2, 3)),
        "concat": lambda one, *xs: torch.cat(xs, 1),
        "flatten": lambda one, x: x.permute(0, 2, 3, 1).flatten(1),
        "add": lambda one, x, y: x + y,
        "relu": lambda one, x: functional.relu(x),
    }

    def run(pixels: Any) -> Floats:
        with torch.inference_mode():
            last = pixels.to(dtype, memory_format=torch.channels_last)
            found = {INPUT: last}
            for one in operations:
                raw = kinds[one.kind](one, *(found[source] for source in one.sources))
                last = found[one.name] = activations[one.activation](raw)
            return np.asarray(last[:, 0].float().numpy())

    return run


def _torch_weights(one: Operation, dtype: Any) -> tuple[Any, Any]:
    import torch

    order = (3, 2, 0, 1) if one.kind == "conv" else (1, 0)
    kernel = torch.from_numpy(np.ascontiguousarray(one.kernel.transpose(order))).to(dtype)
    if one.kind == "conv":
        kernel = kernel.contiguous(memory_format=torch.channels_last)
    return kernel, torch.from_numpy(one.bias).to(dtype)
