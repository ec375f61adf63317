"""What a killed training needs to go on: network, optimizer, kept weights, history."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_tensors

from malscan.atomic import write_atomically

Weights = list[npt.NDArray[Any]]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did; loss is the cross-entropy that is minimised."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f}, accuracy {self.accuracy:.4f}; "
            f"validation loss {self.validation_loss:.4f}, "
            f"accuracy {self.validation_accuracy:.4f}"
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training has come.

    Attributes:
        history: one record for each finished epoch.
        kept: weights of the epoch that is kept if training ends here; empty before the first.
    """

    history: list[Epoch]
    kept: Weights


class Checkpoint:
    """The state of a training after its last finished epoch, in one file."""

    def __init__(self, file: Path, fingerprint: Mapping[str, Any]) -> None:
        """Name the file.

        Args:
            file: where it lies; its folder exists.
            fingerprint: all that must be the same for a training to go on; plain JSON.
        """
        self._file = file
        self._fingerprint = json.dumps(fingerprint, sort_keys=True)
        self.note: str | None = None
        """After `restore`: why a checkpoint that is there was not used."""

    def save(self, network: keras.Model, progress: Progress) -> None:
        """Replace what was saved before.

        Raises:
            MalscanError: it cannot be written.
        """
        arrays = {key: np.asarray(value) for key, value in _variables(network).items()}
        arrays |= {f"kept/{i:04}": array for i, array in enumerate(progress.kept)}
        history = json.dumps([asdict(epoch) for epoch in progress.history])
        metadata = {"fingerprint": self._fingerprint, "history": history}
        metadata["sha256"] = _digest(metadata, arrays)
        write_atomically(self._file, save_tensors(arrays, metadata))

    def restore(self, network: keras.Model) -> Progress:
        """Bring a compiled network to the saved state, as far as there is one for it."""
        if not self._file.exists():
            return Progress([], [])
        try:
            metadata, arrays = self._read()
            history = [Epoch(**epoch) for epoch in json.loads(metadata["history"])]
        except (OSError, SafetensorError, ValueError, TypeError, KeyError):
            self.note = "the checkpoint of an earlier training is damaged: starting afresh"
            return Progress([], [])
        if metadata["fingerprint"] != self._fingerprint:
            self.note = (
                "the checkpoint of an earlier training is of other data, settings or versions: "
                "starting afresh"
            )
            return Progress([], [])
        for key, variable in _variables(network).items():
            variable.assign(arrays[key])
        kept = [arrays[key] for key in sorted(arrays) if key.startswith("kept/")]
        return Progress(history, kept)

    def _read(self) -> tuple[dict[str, str], Arrays]:
        with safe_open(self._file, framework="numpy") as saved:
            metadata = dict(saved.metadata())
            arrays = {key: saved.get_tensor(key) for key in saved.keys()}  # noqa: SIM118
        # One changed bit of a weight would train another model without a word.
        if metadata.pop("sha256") != _digest(metadata, arrays):
            raise ValueError("not what was saved")
        return metadata, arrays


def _digest(metadata: dict[str, str], arrays: Arrays) -> str:
    """SHA-256 of everything that a checkpoint holds."""
    found = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(repr((name, array.dtype.str, array.shape)).encode())
        found.update(array.data)
    return found.hexdigest()


def _variables(network: keras.Model) -> dict[str, keras.Variable]:
    """Weights, states of random generators and of the optimizer; metrics start anew."""
    network.optimizer.build(network.trainable_variables)
    metrics = {variable.path for variable in network.metrics_variables}
    kept = [variable for variable in network.variables if variable.path not in metrics]
    # By number: Keras counts up the names of optimizers and seeds within a process.
    found = {f"network/{i:04}": variable for i, variable in enumerate(kept)}
    return found | {f"optimizer/{i:04}": v for i, v in enumerate(network.optimizer.variables)}
