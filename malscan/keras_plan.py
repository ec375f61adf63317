"""What a Keras config describes, reduced to plain values that have been checked.

A config from a stranger can name code to run, files to read, and sizes that no memory holds. It
never reaches Keras: it is read here into a `Plan` of known layers with known options, and the
network is built from the plan (`malscan.keras_network`). Whatever is not known is refused.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from malscan.keras_layers import LAYERS, Shape

MAX_PARAMETERS = 200_000_000
MAX_VALUES = 2**24
"""Most numbers that one layer may put out for one image."""
MAX_LAYERS = 2000
MAX_DEPTH = 40
MAX_SIDE = 4096

_NETWORKS = ("Sequential", "Functional", "Model")
_BESIDE_LAYERS = frozenset(
    # What only training uses, how numbers are kept, and a link between two layers.
    [
        *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform"),
        *("Identity", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "RandomNormal"),
        *("RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros", "L1", "L2", "L1L2"),
        *("OrthogonalRegularizer", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"),
        *("DTypePolicy", "Policy", "__keras_tensor__"),
    ]
)
_MODULES = (
    *("keras", "keras.layers", "keras.models", "keras.initializers"),
    *("keras.regularizers", "keras.constraints", "keras.dtype_policies"),
    *("keras.mixed_precision", "keras.src.models.sequential"),
    *("keras.src.models.functional", "keras.src.models.model"),
    *("keras.src.engine.sequential", "keras.src.engine.functional"),
    *("keras.src.engine.training", "tf_keras.src.engine.functional"),
    *("tf_keras.src.engine.sequential", "tf_keras.src.engine.training"),
)
_UNUSED = ("compile_config", "build_config")
"""How it was trained, and shapes that follow from the layers: never read, so never checked."""
_DTYPES = ("float32", "float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")
_PASS_ON = ("Dropout", "Flatten", "Reshape")


class RefusedError(Exception):
    """Why a config is not taken; the text goes on after the name of the file."""


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One layer to build.

    Attributes:
        kind: name of a class in `keras.layers`, or empty where `plan` says what to build.
        name: unique within the network.
        options: arguments of the class.
        sources: names of the layers whose output it takes.
        plan: the network that stands here in place of a layer.
    """

    kind: str
    name: str
    options: dict[str, Any]
    sources: tuple[str, ...]
    plan: "Plan | None" = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A network to build.

    Attributes:
        sequential: whether Keras saved its weights as those of a `Sequential`.
        input_name: of its input layer.
        input_shape: of one image.
        layers: without the input layer, each after those it takes its input from.
        output_name: the layer that gives the output.
        output_shape: for one image.
        activation: what the output has gone through: `sigmoid`, `softmax`, or another.
        parameters: number of weights.
    """

    sequential: bool
    input_name: str
    input_shape: Shape
    layers: tuple[PlannedLayer, ...]
    output_name: str
    output_shape: Shape
    activation: str
    parameters: int

    def has(self, kind: str) -> bool:
        """Whether a layer of a kind is anywhere in it."""
        return any(
            layer.kind == kind or (layer.plan is not None and layer.plan.has(kind))
            for layer in self.layers
        )


def plan_of(config: Any) -> Plan:
    """Read the config of a network that tells two classes of cells apart.

    Args:
        config: what JSON gave, as Keras 2 or 3 wrote it.

    Raises:
        RefusedError: it is not such a network, or holds what malscan does not build.
    """
    _check_classes(config)
    plan = _network(config, None, 0)
    _check_input(plan.input_shape)
    _check_output(plan)
    return plan


def _check_classes(config: Any) -> None:
    """Refuse every class, module and registered name that is not known, wherever it stands."""
    todo = [config]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            _check_class(value)
            todo += (inner for key, inner in value.items() if key not in _UNUSED)
        elif isinstance(value, list):
            todo += value


def _check_class(facts: dict[str, Any]) -> None:
    name = facts.get("class_name")
    if "class_name" in facts and not (
        isinstance(name, str) and (name in LAYERS or name in _NETWORKS or name in _BESIDE_LAYERS)
    ):
        raise RefusedError(f"it has a {_short(name)}, which is not among the layers that are taken")
    for key, known in (("module", _MODULES), ("registered_name", (name, "Functional"))):
        if facts.get(key) is not None and facts[key] not in known:
            raise RefusedError(f"it names {_short(facts[key])}, which is not a part of Keras")


def _network(config: Any, given: Shape | None, depth: int) -> Plan:
    """The plan of a network; `given` is what it gets as a layer of another one."""
    if depth > MAX_DEPTH:
        raise RefusedError("its networks are nested too deeply")
    if not isinstance(config, dict) or config.get("class_name") not in _NETWORKS:
        raise RefusedError("its config does not describe a Sequential or Functional network")
    sequential = config["class_name"] == "Sequential"
    facts = config.get("config")
    if not isinstance(facts, dict) or not isinstance(facts.get("layers"), list):
        raise RefusedError("its config lists no layers")
    if not 0 < len(facts["layers"]) <= MAX_LAYERS:
        raise RefusedError(f"it has no layers, or over {MAX_LAYERS}")
    entries = [_Entry(entry) for entry in facts["layers"]]
    if sequential:
        entries, output = _chained(entries)
    else:
        output = _only_name(facts.get("output_layers"), "output")
        _only_name(facts.get("input_layers"), "input")
    return _planned(sequential, entries, output, given, depth)


class _Entry:
    """One layer of a config, before its shapes are known."""

    def __init__(self, entry: Any) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            raise RefusedError("a layer of its config is garbled")
        self.raw = entry
        self.config: dict[str, Any] = entry["config"]
        self.name = _name(entry.get("name", self.config.get("name")))
        self.kind = str(entry.get("class_name"))
        if self.kind not in LAYERS and self.kind not in _NETWORKS:
            raise RefusedError(f"its layer {_short(self.name)} is none: {_short(self.kind)}")
        self.is_input = self.kind == "InputLayer"
        self.sources: tuple[str, ...] = ()
        nodes = entry.get("inbound_nodes") or []
        if not isinstance(nodes, list) or len(nodes) > 1:
            raise RefusedError(f"its layer {_short(self.name)} is used more than once")
        if nodes:
            self.sources = tuple(_sources(nodes[0]))


def _chained(entries: list[_Entry]) -> tuple[list[_Entry], str]:
    """The layers of a `Sequential`, each linked to the one before; and the last one's name."""
    if not entries[0].is_input:
        shape = _input_of_first(entries[0])
        entries = [_Entry({"class_name": "InputLayer", "config": shape}), *entries]
    for before, entry in pairwise(entries):
        entry.sources = (before.name,)
    return entries, entries[-1].name


def _input_of_first(first: _Entry) -> dict[str, Any]:
    """Keras before 2.2 gave the input shape to the first layer; so do nested networks."""
    layers = first.config.get("layers") if first.kind in _NETWORKS else None
    if isinstance(layers, list) and layers:
        inner = _Entry(layers[0])
        shape = _input_of_first(inner) if not inner.is_input else inner.config
    else:
        shape = first.config
    keys = ("batch_shape", "batch_input_shape")
    return {"name": "malscan_input", **{key: shape[key] for key in keys if key in shape}}


def _sources(node: Any) -> Iterator[str]:
    """Names of the layers that a node takes its input from, in order."""
    if isinstance(node, dict):
        yield from _sources_of_keras_3(node.get("args"))
        _check_arguments(node.get("kwargs"))
        return
    for link in node if isinstance(node, list) else [node]:
        if not isinstance(link, list) or len(link) not in (3, 4) or link[2] != 0:
            raise RefusedError("its layers are linked in a way that is not known")
        _check_arguments(link[3] if len(link) == 4 else None)
        yield _name(link[0])


def _sources_of_keras_3(argument: Any) -> Iterator[str]:
    if isinstance(argument, list):
        for part in argument:
            yield from _sources_of_keras_3(part)
        return
    try:
        name, _, tensor = argument["config"]["keras_history"]
    except (KeyError, TypeError, ValueError):
        name, tensor = None, None
    if tensor != 0:
        raise RefusedError("its layers are linked in a way that is not known")
    yield _name(name)


def _check_arguments(arguments: Any) -> None:
    """A layer may be told that it is not training, and nothing else beside its input."""
    if arguments in (None, {}):
        return
    if not isinstance(arguments, dict) or any(
        key not in ("training", "mask") or value not in (None, False)
        for key, value in arguments.items()
    ):
        raise RefusedError("a layer of it is called with arguments that are not known")


def _only_name(ends: Any, what: str) -> str:
    """The name of the one input or output of a `Functional`."""
    if isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list):
        ends = ends[0]
    if not isinstance(ends, list) or len(ends) != 3 or not isinstance(ends[0], str):
        raise RefusedError(f"it has several {what}s, or none; malscan takes networks with one")
    return ends[0]


def _planned(
    sequential: bool,
    entries: list[_Entry],
    output: str,
    given: Shape | None,
    depth: int,
) -> Plan:
    """Go through the layers, each after its sources, and work out every shape."""
    inputs = [entry for entry in entries if entry.is_input]
    if len(inputs) != 1:
        raise RefusedError(f"it has {len(inputs)} inputs; malscan takes networks with one")
    if len({entry.name for entry in entries}) < len(entries):
        raise RefusedError("two of its layers have the same name")
    shapes = {inputs[0].name: _input_shape(inputs[0].config, given)}
    layers: list[PlannedLayer] = []
    parameters = 0
    waiting = [entry for entry in entries if not entry.is_input]
    while waiting:
        ready = [entry for entry in waiting if all(name in shapes for name in entry.sources)]
        if not ready:
            raise RefusedError("its layers do not hang together")
        for entry in ready:
            before = [shapes[source] for source in entry.sources]
            layer, shapes[entry.name], count = _layer(entry, before, depth)
            layers.append(layer)
            parameters += count
            if parameters > MAX_PARAMETERS:
                raise RefusedError(f"it would need over {MAX_PARAMETERS:,} parameters")
        waiting = [entry for entry in waiting if entry.name not in shapes]
    if output not in shapes or output == inputs[0].name:
        raise RefusedError("its output comes from no layer")
    return Plan(
        sequential=sequential,
        input_name=inputs[0].name,
        input_shape=shapes[inputs[0].name],
        layers=tuple(layers),
        output_name=output,
        output_shape=shapes[output],
        activation=_activation(output, {layer.name: layer for layer in layers}),
        parameters=parameters,
    )


def _layer(entry: _Entry, before: list[Shape], depth: int) -> tuple[PlannedLayer, Shape, int]:
    """The plan of one layer, the shape it puts out, and how many weights it has."""
    if not before:
        raise RefusedError(f"its layer {_short(entry.name)} has no input")
    if entry.kind in _NETWORKS:
        if len(before) > 1:
            raise RefusedError("a network within it has several inputs")
        plan = _network(entry.raw, before[0], depth + 1)
        inner = PlannedLayer("", entry.name, {}, entry.sources, plan)
        return inner, plan.output_shape, plan.parameters
    _check_numbers(entry.config)
    kind = LAYERS[entry.kind]
    try:
        options = kind.options(entry.config)
        shape, parameters = kind.work_out(options, before)
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else error
        raise RefusedError(f"its layer {_short(entry.name)} ({entry.kind}): {reason}") from None
    if min(shape, default=0) < 1 or math.prod(shape) > MAX_VALUES:
        size = " x ".join(map(str, shape))
        raise RefusedError(
            f"its layer {_short(entry.name)} puts out {_short(size)} values an image; "
            f"malscan takes 1 to {MAX_VALUES:,}"
        )
    return PlannedLayer(entry.kind, entry.name, options, entry.sources), shape, parameters


def _check_numbers(config: dict[str, Any]) -> None:
    """Refuse what would change the arithmetic of a layer and is not built."""
    dtype = config.get("dtype")
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name") if isinstance(inner, dict) else None
    if dtype is not None and dtype not in _DTYPES:
        raise RefusedError(f"it computes in {_short(dtype)}, which is not taken")
    if config.get("data_format") not in (None, "channels_last"):
        raise RefusedError("its channels do not come last; a CPU cannot compute that")
    for key in ("lora_rank", "quantization_config", "renorm", "rms_scaling"):
        if config.get(key):
            raise RefusedError(f"it uses {key}, which is not taken")


def _input_shape(config: dict[str, Any], given: Shape | None) -> Shape:
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    sides = shape[1:] if isinstance(shape, list) else None
    if given is not None:
        if sides is not None and not _fits(sides, given):
            raise RefusedError("a network within it does not fit the layer before")
        return given
    if not sides:
        raise RefusedError("it does not say what input it takes")
    if any(side is None for side in sides):
        raise RefusedError(
            f"it leaves the size of its input open: {_short(sides)}. "
            "Save it with a fixed input size."
        )
    if not all(type(side) is int and 0 < side <= MAX_SIDE for side in sides):
        raise RefusedError(f"its input has sides that are not 1 to {MAX_SIDE}: {_short(sides)}")
    return tuple(sides)


def _fits(sides: list[Any], given: Shape) -> bool:
    return len(sides) == len(given) and all(
        side is None or side == known for side, known in zip(sides, given, strict=True)
    )


def _activation(name: str, layers: dict[str, PlannedLayer]) -> str:
    """What the output of a layer has gone through last."""
    layer = layers.get(name)
    while layer is not None and layer.kind in _PASS_ON:
        layer = layers.get(layer.sources[0])
    if layer is None:
        return "linear"
    if layer.plan is not None:
        return layer.plan.activation
    if layer.kind == "Softmax":
        return "softmax"
    return str(layer.options.get("activation", "linear"))


def _check_input(shape: Shape) -> None:
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] != 3:
        sides = " x ".join(map(str, shape))
        raise RefusedError(f"its input is {sides}; malscan takes square colour images, N x N x 3")


def _check_output(plan: Plan) -> None:
    ends = {(1,): "sigmoid", (2,): "softmax"}
    if plan.output_shape not in ends:
        count = " x ".join(map(str, plan.output_shape))
        raise RefusedError(f"it has {count} outputs; malscan takes 1 (sigmoid) or 2 (softmax)")
    if plan.activation != ends[plan.output_shape]:
        raise RefusedError(
            f"its output ends in {plan.activation}; a network with {plan.output_shape[0]} "
            f"output must end in {ends[plan.output_shape]}"
        )


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200 or "/" in value:
        raise RefusedError(f"it has a layer name that is none: {_short(value)}")
    return value


def _short(value: object) -> str:
    """A piece of a stranger's file, fit for one line of a message."""
    text = value if isinstance(value, str) and value.isprintable() else ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
