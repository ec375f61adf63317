"""A model on disk: a folder with all that is needed to use a trained network rightly."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from malscan.doubt import Band, is_band
from malscan.errors import MalscanError, UsageError
from malscan.foreign import KerasFile, read_keras_file
from malscan.kernel import Kernel
from malscan.labels import CLASSES
from malscan.model_part import RefusedPartError, read_part
from malscan.seen import SeenImages
from malscan.settings import (
    ANY_MODEL,
    ClassOrder,
    KerasFileSettings,
    check_model_exists,
    is_embedded,
)
from malscan.unlike import UsualCells, usual_cells_from

SCHEMA = "malscan.model/1"
METADATA = "model.json"
WEIGHTS = "weights.safetensors"
ERROR_RATES = "error_rates.safetensors"
SEEN = "seen.safetensors"
UNLIKE = "unlike.safetensors"
CARD = "MODEL_CARD.md"
KERAS_FILE = "keras-file"
MAX_METADATA_BYTES = 64 * 2**20
MAX_ARRAYS_BYTES = 10**9
LONGEST_TEXT = 200

EMBEDDED = Path(__file__).parent / "models" / "compact"
"""Folder of the model that comes with the package."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often the model errs on patients it never saw, with the doubt about that.

    Attributes:
        thresholds: float32 [grid], ascending thresholds that the rates are known for.
        sensitivity: float32 [grid], over all test patients.
        false_positive_rate: float32 [grid], 1 - specificity, over all test patients.
        drawn_sensitivity: float32 [draws, grid], one row for each bootstrap draw of patients.
        drawn_false_positive_rate: float32 [draws, grid], in the same draws.
    """

    thresholds: npt.NDArray[np.float32]
    sensitivity: npt.NDArray[np.float32]
    false_positive_rate: npt.NDArray[np.float32]
    drawn_sensitivity: npt.NDArray[np.float32]
    drawn_false_positive_rate: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Model:
    """A trained network as it lies on disk, read and verified but not yet built.

    Attributes:
        name: what reports call it.
        sha256: identity of the whole: digest of `model.json`, which holds those of the arrays,
            or of the Keras file.
        network: key of `malscan.networks.NETWORKS`, or `KERAS_FILE`.
        size: side of the network input, pixels.
        kernel: resize kernel, a value of `malscan.preprocess.Kernel`.
        rescale: factor from uint8 pixels to network input.
        threshold: probability from which a cell is called parasitized.
        uncertain: the doubt band that the model recommends around that threshold, if any.
        temperature: divisor of the logit that calibrates probabilities.
        weights: float32 arrays by variable path, batch normalisation already folded in; empty
            for a Keras file.
        error_rates: known error rates; None where it was not tested on fresh
            patients of each class.
        metadata: all of `model.json`; empty for a Keras file.
        keras_file: the file that holds the network; None for a model folder.
        class_order: the classes in the order of the network's outputs.
        assumed: what a Keras file does not say, and what was taken for it.
        usual: what the cells of its training look like; None where it does not say.
    """

    name: str
    sha256: str
    network: str
    size: int
    kernel: str
    rescale: float
    threshold: float
    temperature: float
    weights: Arrays
    error_rates: ErrorRates | None
    metadata: dict[str, Any]
    uncertain: Band | None = None
    keras_file: KerasFile | None = None
    class_order: tuple[str, ...] = CLASSES
    assumed: tuple[str, ...] = ()
    usual: UsualCells | None = None


def find_model(given: Path | None) -> Path:
    """Folder or file of the model to use: as given, else `MALSCAN_MODEL`, else the embedded one.

    The name `embedded` stands for the embedded one, unless there is something of that name.
    """
    if given is None and (variable := os.environ.get("MALSCAN_MODEL")):
        given = Path(variable)
    return EMBEDDED if given is None or is_embedded(given) else given


def open_model(path: Path, stated: KerasFileSettings = KerasFileSettings()) -> Model:
    """Read and check a model of either kind.

    Args:
        path: a folder written by `malscan train`, or a network in a Keras file.
        stated: what the file does not say.

    Raises:
        UsageError: there is nothing at `path`, or something is stated that a folder says itself.
        MalscanError: what is there is no model that can be used.
    """
    check_model_exists(path, ANY_MODEL)
    if not path.is_dir():
        return _model_of_file(read_keras_file(path), stated)
    if stated != KerasFileSettings():
        raise UsageError(
            "--rescale, --resize-kernel and --class-order are for .keras and .h5 files; "
            f"{path} is a model folder, which says it itself. Leave them out."
        )
    return load_model(path)


def _model_of_file(file: KerasFile, stated: KerasFileSettings) -> Model:
    rescale = 1 / 255 if stated.rescale is None else stated.rescale
    kernel = stated.kernel or Kernel.PILLOW_NEAREST
    order = stated.class_order or ClassOrder.PARASITIZED_FIRST
    classes = tuple(order.split(","))
    shown = "1/255" if stated.rescale is None else f"{rescale:.9g}"
    outputs = f"the classes in the order {', '.join(classes)}"
    if file.plan.output_shape == (1,):
        outputs += f" (the output is the probability of {classes[1]})"
    assumed = [
        f"pixels times {shown} ({_origin(stated.rescale, '--rescale')})",
        f"images resized by {kernel} ({_origin(stated.kernel, '--resize-kernel')})",
        f"{outputs} ({_origin(stated.class_order, '--class-order')})",
        "its outputs taken for probabilities as they are",
    ]
    if file.plan.has("Rescaling") and stated.rescale is None:
        assumed.append(
            "its Rescaling layer comes on top of that factor (if it takes pixels from 0 to 255: "
            "--rescale 1)"
        )
    return Model(
        # Reports are UTF-8, whatever bytes the name of the file has.
        name=storable_name(file.path.stem),
        sha256=file.sha256,
        network=KERAS_FILE,
        size=file.plan.input_shape[0],
        kernel=kernel,
        rescale=rescale,
        threshold=0.5,
        temperature=1.0,
        weights={},
        error_rates=None,
        metadata={},
        keras_file=file,
        class_order=classes,
        assumed=tuple(assumed),
    )


def _origin(stated: object, option: str) -> str:
    return f"default of {option}" if stated is None else option


def load_model(folder: Path) -> Model:
    """Read a model folder and check it.

    Args:
        folder: a folder written by `malscan train`.

    Raises:
        UsageError: there is nothing at `folder`.
        MalscanError: what is there is not a whole model.
    """
    check_model_exists(folder)
    metadata, digest = _read_metadata(folder)
    try:
        weights = _read_arrays(folder / WEIGHTS, metadata["weights_sha256"])
        rates = None
        if metadata["error_rates_sha256"]:
            arrays = _read_arrays(folder / ERROR_RATES, metadata["error_rates_sha256"])
            rates = ErrorRates(**arrays)
            _check_rates(rates)
        usual = None
        if metadata.get("unlike_sha256"):
            usual = usual_cells_from(_read_arrays(folder / UNLIKE, metadata["unlike_sha256"]))
        preprocessing = metadata["preprocessing"]
        return Model(
            name=_text(metadata, "name"),
            sha256=digest,
            network=_text(metadata, "network"),
            size=_whole_number(preprocessing, "size", 1, 4096),
            kernel=_text(preprocessing, "kernel"),
            rescale=_number(preprocessing, "rescale", 1e-6, 1e6),
            threshold=_number(metadata, "threshold", 0, 1),
            temperature=_number(metadata, "temperature", 1e-6, 1e6),
            weights=weights,
            error_rates=rates,
            metadata=metadata,
            uncertain=_band(metadata, "uncertain"),
            usual=usual,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalscanError(_not_a_model(folder, f"{METADATA} lacks or garbles {error}")) from None


def load_seen_images(folder: Path, model: Model) -> SeenImages | None:
    """The images that a model was trained and validated on; None if it does not say.

    Args:
        folder: the folder that the model was loaded from.
        model: the model.

    Raises:
        MalscanError: the file is not the one that the model was written with.
    """
    if not model.metadata.get("seen_sha256"):
        return None
    arrays = _read_arrays(folder / SEEN, model.metadata["seen_sha256"])
    names = model.metadata.get("seen_patients")
    try:
        seen = SeenImages(arrays["hashes"], arrays["parts"], arrays["patients"], list(names or []))
        seen.rows()
    except (KeyError, IndexError, ValueError, TypeError):
        raise MalscanError(_not_a_model(folder, f"{SEEN} is garbled")) from None
    return seen


def embedded_model_name() -> str:
    """Name and short digest of the embedded model, for `--version`."""
    metadata, digest = _read_metadata(EMBEDDED)
    return f"{metadata['name']} ({digest[:12]})"


def save_model(
    folder: Path,
    metadata: dict[str, Any],
    weights: Arrays,
    error_rates: ErrorRates | None,
    seen: SeenImages | None = None,
    usual: UsualCells | None = None,
) -> None:
    """Write the machine-readable files of a model into an existing folder.

    Args:
        folder: where to write.
        metadata: content of `model.json` without schema and digests, which are added.
        weights: arrays by variable path, float32.
        error_rates: arrays of the error rates, if known.
        seen: the images that the model was trained and validated on, if known.
        usual: what the cells that it was trained on look like, if known.
    """
    whole = {"schema": SCHEMA, **metadata}
    whole["weights_sha256"] = _write_arrays(folder / WEIGHTS, weights)
    whole["error_rates_sha256"] = None
    if error_rates is not None:
        rates = asdict(error_rates)
        whole["error_rates_sha256"] = _write_arrays(folder / ERROR_RATES, rates)
    if seen is not None:
        arrays = {"hashes": seen.hashes, "parts": seen.parts, "patients": seen.patients}
        whole["seen_patients"] = seen.names
        whole["seen_sha256"] = _write_arrays(folder / SEEN, arrays)
    if usual is not None:
        whole["unlike_sha256"] = _write_arrays(folder / UNLIKE, usual.arrays())
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    (folder / METADATA).write_text(text, encoding="utf-8", errors="backslashreplace")


def _read_metadata(folder: Path) -> tuple[dict[str, Any], str]:
    try:
        raw = _read_part(folder, METADATA, MAX_METADATA_BYTES)
        metadata = json.loads(raw)
    except (ValueError, RecursionError):
        raise MalscanError(_not_a_model(folder, f"{METADATA} is not valid JSON")) from None
    if not isinstance(metadata, dict) or metadata.get("schema") != SCHEMA:
        raise MalscanError(_not_a_model(folder, f"{METADATA} does not say schema {SCHEMA}"))
    return metadata, hashlib.sha256(raw).hexdigest()


def _read_part(folder: Path, name: str, most: int) -> bytes:
    try:
        # Some installers link the files of a package to a store of theirs.
        return read_part(folder / name, most, links=folder == EMBEDDED)
    except RefusedPartError as error:
        raise MalscanError(_not_a_model(folder, str(error))) from None


def storable_name(name: str, ending: str = "") -> str:
    """The name of a model as files and reports can hold it: any name that a folder may have."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return text[: LONGEST_TEXT - len(ending)] + ending


def _text(facts: dict[str, Any], key: str) -> str:
    text = facts[key]
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise TypeError(f"'{key}': not a text of at most {LONGEST_TEXT} characters")
    text.encode()  # Half a character, which JSON can hold, could stand in no report.
    return text


def _number(facts: dict[str, Any], key: str, least: float, most: float) -> float:
    value = facts[key]
    if not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"'{key}': not a number between {least:g} and {most:g}")
    return float(value)


def _band(facts: dict[str, Any], key: str) -> Band | None:
    """A pair of probabilities; models of earlier versions have none."""
    band = facts.get(key)
    if band is None:
        return None
    low, high = band
    if not is_band((low, high)):
        raise ValueError(f"'{key}': not two probabilities, the lower one first")
    return float(low), float(high)


def _whole_number(facts: dict[str, Any], key: str, least: int, most: int) -> int:
    if not isinstance(facts[key], int):
        raise TypeError(f"'{key}': not a whole number")
    return int(_number(facts, key, least, most))


def _check_rates(rates: ErrorRates) -> None:
    grid = rates.thresholds.shape
    draws = rates.drawn_sensitivity.shape[:1]
    shapes = {
        "sensitivity": grid,
        "false_positive_rate": grid,
        "drawn_sensitivity": draws + grid,
        "drawn_false_positive_rate": draws + grid,
    }
    if len(grid) != 1 or draws == (0,):
        raise ValueError("error rates: no grid of thresholds, or no draws")
    for name, shape in shapes.items():
        values = getattr(rates, name)
        if (
            values.dtype.kind != "f"
            or values.shape != shape
            or not ((values >= 0) & (values <= 1)).all()
        ):
            raise ValueError(f"error rates: {name}")


def _read_arrays(path: Path, sha256: str) -> Arrays:
    raw = _read_part(path.parent, path.name, MAX_ARRAYS_BYTES)
    if hashlib.sha256(raw).hexdigest() != sha256:
        reason = f"{path.name} is not the file that {METADATA} was written for (sha256 differs)"
        raise MalscanError(_not_a_model(path.parent, reason))
    try:
        return load_tensors(raw)
    except (SafetensorError, KeyError, ValueError, TypeError):
        # KeyError: a type of number that NumPy does not have; ValueError: a shape of no array.
        raise MalscanError(_not_a_model(path.parent, f"{path.name} is damaged")) from None


def _write_arrays(path: Path, arrays: dict[str, Any]) -> str:
    raw = save_tensors({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    path.write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def _not_a_model(folder: Path, reason: str) -> str:
    return f"not a malscan model: {folder}: {reason}. Give a folder made by `malscan train`."
