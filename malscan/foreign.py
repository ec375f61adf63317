"""Trained networks in Keras' own files: `.keras`, and `.h5` of Keras 2 or 3.

A file comes from a stranger. Its config is read here and reduced to a plan of known layers
(`malscan.keras_plan`), the container is searched for whatever points outside of it or grows
when it is read, and only then are its numbers used.
"""

import hashlib
import io
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from malscan.errors import MalscanError
from malscan.keras_plan import Plan, RefusedError, plan_of

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".keras", ".h5", ".hdf5")
MAX_BYTES = 10**9
MAX_CONFIG_BYTES = 16 * 2**20
MAX_OBJECTS = 200_000

_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
_MEMBERS = {_CONFIG: MAX_CONFIG_BYTES, "metadata.json": 2**20, _WEIGHTS: MAX_BYTES}


@dataclass(frozen=True, slots=True)
class KerasFile:
    """A trained network in a file, checked but not yet built.

    Attributes:
        path: where it was read from.
        sha256: digest of the file.
        plan: the network.
        content: HDF5 file with the weights.
        whole: whether `content` is a whole `.h5` model, or the weights out of a `.keras`.
    """

    path: Path
    sha256: str
    plan: Plan
    content: bytes = field(repr=False)
    whole: bool


def read_keras_file(path: Path) -> KerasFile:
    """Read and check a file that a network was saved in.

    Args:
        path: existing file.

    Raises:
        MalscanError: it is no such file, or holds what malscan does not take.
    """
    try:
        content = _read(path)
        whole = path.suffix.lower() != ".keras"
        config, weights = _whole_h5(content) if whole else _keras_zip(content)
        plan = plan_of(config)
    except RefusedError as error:
        raise MalscanError(f"cannot use {path} as a model: {error}") from None
    except RecursionError:
        raise MalscanError(f"cannot use {path} as a model: it is nested too deeply") from None
    return KerasFile(path, hashlib.sha256(content).hexdigest(), plan, weights, whole)


def _read(path: Path) -> bytes:
    if path.suffix.lower() not in SUFFIXES:
        raise RefusedError(
            "give a folder made by `malscan train`, or a file ending in .keras, .h5 or .hdf5"
        )
    try:
        # Without waiting for a writer, should it be a pipe.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError("it is not a regular file")
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RefusedError(str(error.strerror)) from None
    if len(content) > MAX_BYTES:
        raise RefusedError("it is larger than 1 GB")
    return content


def _keras_zip(content: bytes) -> tuple[Any, bytes]:
    """Config and weights out of a `.keras` file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            for member in members:
                if member.filename not in _MEMBERS or names.count(member.filename) > 1:
                    raise RefusedError(f"it holds {ascii(member.filename)[:60]}, a part not known")
                if member.file_size > _MEMBERS[member.filename]:
                    raise RefusedError(
                        f"its {member.filename} has {member.file_size:,} bytes unpacked, "
                        f"over the limit of {_MEMBERS[member.filename]:,}"
                    )
            config, weights = archive.read(_CONFIG), archive.read(_WEIGHTS)
    except KeyError as error:
        raise RefusedError(f"it is no Keras model: {error.args[0]}") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, ValueError, OSError):
        raise RefusedError("it is damaged, or no .keras file (which is a zip archive)") from None
    except (RuntimeError, NotImplementedError, zlib.error) as error:
        raise RefusedError(f"it cannot be unpacked: {error}") from None
    with _opened(weights, f"its {_WEIGHTS} is damaged") as file:
        _check_h5(file)
    return _json(config), weights


def _whole_h5(content: bytes) -> tuple[Any, bytes]:
    """Config out of an `.h5` file, and the file."""
    with _opened(content, "it is damaged, or no HDF5 file") as file:
        _check_h5(file)
        config = file.attrs.get("model_config")
        if config is None:
            weights = "layer_names" in file.attrs or "layers" in file or "model_weights" in file
            raise RefusedError(
                "it holds weights only. Save the whole model: model.save('model.h5')"
                if weights
                else "it is an HDF5 file, but no Keras model"
            )
        if not isinstance(config, str | bytes) or len(config) > MAX_CONFIG_BYTES:
            raise RefusedError("its config is no text, or too long")
        return _json(config), content


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("its config is not valid JSON") from None


@contextmanager
def _opened(content: bytes, damaged: str) -> Iterator["h5py.File"]:
    """An HDF5 file in memory, where nothing that it links to can be found."""
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError):
        raise RefusedError(damaged) from None


def _check_h5(file: "h5py.File") -> None:
    """Refuse links, other files, and data that is not numbers or grows when it is read."""
    import h5py

    size = 0
    for place, part in _parts(file):
        if isinstance(part, h5py.Group):
            continue
        if not isinstance(part, h5py.Dataset) or part.dtype.kind not in "fiub":
            raise RefusedError(f"its part {place} is not an array of numbers")
        if part.external or part.is_virtual:
            raise RefusedError(f"its part {place} lies in another file")
        size += part.size * part.dtype.itemsize
        if size > MAX_BYTES:
            raise RefusedError("its arrays are larger than 1 GB")


def _parts(file: "h5py.File") -> Iterator[tuple[str, Any]]:
    """Everything in the file with a printable name; a group that holds itself comes once."""
    import h5py

    seen: set[int] = set()
    todo = [file]
    links = 0
    while todo:
        group = todo.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in group:
            place = ascii(name)[:60]
            links += 1
            if links > MAX_OBJECTS:
                raise RefusedError(f"it holds over {MAX_OBJECTS:,} objects")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise RefusedError(f"its part {place} is a link, perhaps to another file")
            part = group[name]
            yield place, part
            if isinstance(part, h5py.Group):
                todo.append(part)
