"""Preloaded by the workers of tests: a model without TensorFlow, and images that are traps.

An image is what its name says: `kills` kills the process that reads it, `slow` takes a while,
`hidden` is seen by the command and not by a worker, `fails` is a fault in the code. The others
get a probability that follows from their bytes.
"""

import os
import signal
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from malscan.prediction import DECIMALS, Prediction
from malscan.settings import Precision
from malscan.walk import CellImage

open_file = os.open


def open_unless_hidden(path: str, *args: int, **kwargs: int) -> int:
    if "hidden" in str(path):
        raise FileNotFoundError(2, "No such file or directory")
    return open_file(path, *args, **kwargs)


def probability(content: bytes) -> float:
    return round(zlib.crc32(content) / 2**32, DECIMALS)


class Predictor:
    def __init__(self, model: object, *, precision: Precision, cores: int | None = None) -> None:
        # Dask does not replace a worker that dies in the moment in which it comes.
        time.sleep(0.3)

    def predict(
        self, images: Iterable[CellImage], *, batch_size: int, any_size: bool
    ) -> Iterator[list[Prediction]]:
        for image in images:
            yield [predicted(image)]


def predicted(image: CellImage) -> Prediction:
    name = Path(image.path).name
    if "kills" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "fails" in name:
        raise RuntimeError("a fault in the code")
    if "slow" in name:
        time.sleep(0.3)
    if image.error is not None:
        return Prediction(image, None, image.error)
    if "hidden" in name:
        return Prediction(image, None, "no such file or directory")
    try:
        return Prediction(image, probability(Path(image.path).read_bytes()), None)
    except OSError as error:
        return Prediction(image, None, str(error.strerror).lower())


def dask_setup(worker: object) -> None:
    """Called by Dask in the worker process."""
    setattr(os, "open", open_unless_hidden)  # noqa: B010
    predictor, devices = ModuleType("malscan.predictor"), ModuleType("malscan.devices")
    vars(predictor)["Predictor"] = Predictor
    vars(devices)["use_device"] = lambda device: "CPU"
    sys.modules.update({module.__name__: module for module in (predictor, devices)})
