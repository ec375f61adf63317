"""What a worker does with a shard: what a scan on one machine does with all images."""

import hashlib
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from malscan.cluster.same import check_versions, packed, unpacked
from malscan.errors import MalscanError
from malscan.memory import loading_tensorflow
from malscan.model import Model
from malscan.picture import plain_reason
from malscan.prediction import Prediction
from malscan.settings import Computing
from malscan.walk import CellImage

if TYPE_CHECKING:
    from malscan.predictor import Predictor

_VALUES = tuple(field.name for field in fields(Prediction) if field.name != "image")

_one_at_a_time = threading.Lock()
_built: dict[tuple[str, Computing], "Predictor"] = {}
"""The model that was used last, by the digest of what it came as and what it computes on."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive images to compute.

    Attributes:
        images: absolute path, and the reason if the image is known to be unreadable.
        batch_size: images that are loaded and classified together.
        any_size: accept images with a side over `malscan.picture.MAX_SIDE` pixels.
        computing: what to compute on; its precision is not `auto`.
    """

    images: list[tuple[bytes, str | None]]
    batch_size: int
    any_size: bool
    computing: Computing


@dataclass(frozen=True, slots=True)
class Computed:
    """What a worker says of a shard, image by image.

    Attributes:
        host: name of the worker's machine.
        values: what a `Prediction` holds besides its image, in the order of its fields.
        unseen: place and reason of each image that cannot be opened on that machine.
    """

    host: str
    values: list[tuple[Any, ...]]
    unseen: dict[int, str]

    def predictions(self, images: list[CellImage]) -> list[Prediction]:
        """The predictions of the images that went in."""
        return [
            Prediction(image, **dict(zip(_VALUES, values, strict=True)))
            for image, values in zip(images, self.values, strict=True)
        ]


def packed_model(model: Model) -> tuple[bytes, str]:
    """All that a worker needs of a model, and the SHA-256 of that."""
    content = packed(replace(model, error_rates=None))
    return content, hashlib.sha256(content).hexdigest()


def compute(expected: Mapping[str, str], model: bytes, digest: str, shard: bytes) -> Computed:
    """Compute a shard; called on the worker, in a thread of its own.

    Args:
        expected: versions that the command has.
        model: as packed by `packed_model`.
        digest: of the model as it was sent.
        shard: a packed `Shard`.

    Raises:
        MalscanError: other versions here, a model that arrived damaged or does not fit, or
            nothing here to compute on as asked for.
    """
    check_versions(expected)
    job: Shard = unpacked(shard)
    images = [CellImage(os.fsdecode(path), "", error) for path, error in job.images]
    # Two shards at once would share the cores and hold two networks in memory.
    with _one_at_a_time:
        predictions = [
            prediction
            for some in _predictor(model, digest, job.computing).predict(
                images, batch_size=job.batch_size, any_size=job.any_size
            )
            for prediction in some
        ]
    unseen = {
        place: reason
        for place, (image, prediction) in enumerate(zip(images, predictions, strict=True))
        if prediction.error is not None
        and image.error is None
        and (reason := why_not_opened(image.path))
    }
    values = [tuple(getattr(prediction, name) for name in _VALUES) for prediction in predictions]
    return Computed(socket.gethostname(), values, unseen)


def why_not_opened(path: str) -> str | None:
    """Why a file cannot be opened on this machine; None if it can."""
    try:
        # Without waiting for a writer, should it be a pipe.
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return plain_reason(error)
    except ValueError as error:
        return str(error)
    return None


def _predictor(model: bytes, digest: str, computing: Computing) -> "Predictor":
    """The model, ready to run; built once a process."""
    if (digest, computing) not in _built:
        from distributed import get_worker

        with loading_tensorflow():
            from malscan.devices import use_device
            from malscan.predictor import Predictor

        host = socket.gethostname()
        if hashlib.sha256(model).hexdigest() != digest:
            raise MalscanError(f"the model arrived damaged on {host}. Try again.")
        _built.clear()
        try:
            use_device(computing.device)
            _built[digest, computing] = Predictor(
                unpacked(model),
                precision=computing.precision,
                cores=get_worker().state.nthreads,
            )
        except MalscanError as error:
            raise MalscanError(f"the worker on {host}: {error}") from None
    return _built[digest, computing]
