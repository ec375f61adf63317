"""Model files as an attacker would make them, without TensorFlow or Keras."""

import base64
import hashlib
import io
import json
import marshal
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Change = Callable[[dict[str, Any]], object]


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


def lambda_of(mark: Path) -> dict[str, Any]:
    """A function as Keras writes it, whose code creates a file."""
    code = compile(f"__import__('os').mkdir({str(mark)!r})", "<model>", "exec")
    return {
        "class_name": "__lambda__",
        "config": {"code": base64.b64encode(marshal.dumps(code)).decode(), "defaults": None},
    }


def config() -> dict[str, Any]:
    """The config of a small network that malscan takes."""
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 8, 8, 3], "name": "input"}},
        {"class_name": "Flatten", "config": {"name": "flat"}},
        {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "softmax"}},
    ]
    return {"class_name": "Sequential", "config": {"name": "n", "layers": layers}}


def with_layer(entry: dict[str, Any]) -> Change:
    """A change that puts a layer in place of the second one."""

    def change(facts: dict[str, Any]) -> None:
        facts["config"]["layers"][1] = entry

    return change


def weights(change: Callable[[h5py.File], object] = lambda file: None) -> bytes:
    """The HDF5 file with the weights of that network, after some change to it."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        variables = file.create_group("layers/dense/vars")
        variables["0"] = np.zeros((192, 2), np.float32)
        variables["1"] = np.zeros(2, np.float32)
        change(file)
    return buffer.getvalue()


def keras_zip(
    path: Path,
    change: Change = lambda facts: None,
    *,
    held: bytes | None = None,
    members: tuple[tuple[str | zipfile.ZipInfo, bytes], ...] = (),
) -> Path:
    """A `.keras` file with a changed config, other weights, or more members."""
    facts = config()
    change(facts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(facts))
        archive.writestr("model.weights.h5", weights() if held is None else held)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # That a name comes twice is meant.
            for name, data in members:
                archive.writestr(name, data)
    return path


def whole_h5(path: Path, change: Callable[[h5py.File], object] = lambda file: None) -> Path:
    """An `.h5` file of the same network, after some change to it."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config())
        group = file.create_group("model_weights/d/d")
        group["kernel:0"] = np.zeros((192, 2), np.float32)
        change(file)
    return path


def model_folder(path: Path, arrays: bytes, change: Change = lambda facts: None) -> Path:
    """A model folder with any bytes as weights, under their right digest."""
    path.mkdir()
    facts: dict[str, Any] = {
        "schema": "malscan.model/1",
        "name": "strange",
        "network": "compact",
        "preprocessing": {"size": 64, "kernel": "area", "rescale": 1 / 255},
        "threshold": 0.5,
        "temperature": 1.0,
        "error_rates_sha256": None,
        "weights_sha256": hashlib.sha256(arrays).hexdigest(),
    }
    change(facts)
    (path / "weights.safetensors").write_bytes(arrays)
    (path / "model.json").write_text(json.dumps(facts))
    return path


def safetensors(header: dict[str, Any] | bytes, data: bytes = b"", length: int = -1) -> bytes:
    """A safetensors file with any header, which may lie about its own length."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length < 0 else length) + raw + data


def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    """One entry of such a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def pickled(mark: Path) -> bytes:
    """A pickle that creates a file when it is loaded."""
    return pickle.dumps(Payload(mark))


def npy_of_objects(mark: Path) -> bytes:
    """A `.npy` file that holds a pickle."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(mark)], object), allow_pickle=True)
    return buffer.getvalue()
