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
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from malscan.errors import MalscanError
from malscan.keras_plan import Plan, RefusedError, plan_of

SUFFIXES = (".keras", ".h5", ".hdf5")
MAX_BYTES = 10**9
MAX_CONFIG_BYTES = 16 * 2**20
HDF5_SECONDS = 60
"""For what takes a second or two, unless the HDF5 library hangs."""

MAX_MEMBERS = 100
"""Parts that a zip may have; the list of them alone could fill the memory."""
MOST_BYTES_A_WEIGHT = 32
"""More than a weight takes in float64 with the two moments of an optimizer beside it."""
MOST_BYTES_BESIDE = 64 * 2**20

_MEMBER_START = b"PK\x01\x02"
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
        plan, weights = _whole_h5(content) if whole else _keras_zip(content)
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


def _keras_zip(content: bytes) -> tuple[Plan, bytes]:
    """Network and weights out of a `.keras` file."""
    if content.count(_MEMBER_START) > MAX_MEMBERS:
        raise RefusedError("it holds more parts than a model has")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_members(archive.infolist())
            plan = plan_of(_json(archive.read(_CONFIG)))
            size = archive.getinfo(_WEIGHTS).file_size
            _check_size(plan, size, f"its {_WEIGHTS} has {size:,} bytes unpacked")
            weights = archive.read(_WEIGHTS)
    except KeyError as error:
        raise RefusedError(f"it is no Keras model: {error.args[0]}") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, ValueError, OSError):
        raise RefusedError("it is damaged, or no .keras file (which is a zip archive)") from None
    except (RuntimeError, NotImplementedError, zlib.error) as error:
        raise RefusedError(f"it cannot be unpacked: {error}") from None
    found = _check_hdf5(weights, f"its {_WEIGHTS} is damaged")
    _check_arrays(plan, found)
    return plan, weights


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    """Nothing but the parts that a model has, each once, and none that swells without measure."""
    names = [member.filename for member in members]
    for member in members:
        name = member.filename
        if name not in _MEMBERS:
            raise RefusedError(f"it holds {ascii(name)[:60]}, a part not known")
        if names.count(name) > 1:
            raise RefusedError(f"it holds {name} more than once")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise RefusedError(f"its {name} is a link")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RefusedError("it is packed in a way that Keras does not use")
        if member.file_size > _MEMBERS[name]:
            raise RefusedError(
                f"its {name} has {member.file_size:,} bytes unpacked, "
                f"over the limit of {_MEMBERS[name]:,}"
            )


def _check_size(plan: Plan, size: int, said: str) -> None:
    """Weights may take no more than the network can use, with what training leaves beside them."""
    most = MOST_BYTES_A_WEIGHT * plan.parameters + MOST_BYTES_BESIDE
    if size > most:
        raise RefusedError(f"{said}, over the {most:,} that its network can need")


def _check_arrays(plan: Plan, found: dict[str, Any]) -> None:
    _check_size(plan, found["bytes"], f"its arrays have {found['bytes']:,} bytes")


def _whole_h5(content: bytes) -> tuple[Plan, bytes]:
    """Network out of an `.h5` file, and the file."""
    found = _check_hdf5(content, "it is damaged, or no HDF5 file")
    if found["config"] is None:
        raise RefusedError(
            "it holds weights only. Save the whole model: model.save('model.h5')"
            if found["weights"]
            else "it is an HDF5 file, but no Keras model"
        )
    plan = plan_of(_json(found["config"]))
    _check_arrays(plan, found)
    return plan, content


def _json(text: str | bytes) -> Any:
    if len(text) > MAX_CONFIG_BYTES:
        raise RefusedError("its config is too long")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("its config is not valid JSON") from None


def _check_hdf5(content: bytes, damaged: str) -> dict[str, Any]:
    """What `malscan.hdf5_check` finds in an HDF5 file; whatever goes wrong there refuses it."""
    script = Path(__file__).with_name("hdf5_check.py")
    # -P: neither this folder nor the current one may stand in for a module of Python.
    command = [sys.executable, "-P", str(script)]
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=HDF5_SECONDS, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise RefusedError(f"reading it takes longer than {HDF5_SECONDS:g} s") from None
    except (subprocess.SubprocessError, ValueError):
        raise RefusedError(damaged) from None
    if "refused" in found:
        raise RefusedError(found["refused"])
    return found
