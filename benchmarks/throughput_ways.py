"""The ways from files to report that `throughput.py` measures; each runs in its own process."""

import csv
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from other_runtimes import (
    Operation,
    Run,
    onnx_model,
    onnx_runtime,
    openvino,
    operations_of,
    torch_network,
)

BATCH = 256
NETWORKS = ("baseline", "embedded")

Floats = npt.NDArray[np.float32]
Prepared = Callable[[], Iterable[Floats]]
"""Computes all cells, and gives the probabilities of parasitized in pieces."""

_OURS, _OTHERS, _FLOOR = "#1f6f8b", "#b9b4a7", "#d9c28c"


@dataclass(frozen=True)
class Way:
    """A way from files to report.

    Attributes:
        title: what tables call it.
        prepare: loads everything, from the folder that `prepare` filled.
        network: whose weights it computes with; empty where that does not matter.
        needs: packages that malscan does not need itself.
    """

    title: str
    prepare: Callable[[Path], Prepared]
    network: str = ""
    needs: tuple[str, ...] = ()

    @property
    def colour(self) -> str:
        """Of its bar."""
        if self.title.startswith("malscan"):
            return _OURS
        return _OTHERS if self.network else _FLOOR


@dataclass(frozen=True)
class Written:
    """A network as it is written down: its operations, and how its input is made."""

    operations: list[Operation]
    size: int
    kernel: str
    rescale: float


def prepare(place: Path) -> None:
    """Write down the networks in all forms that the ways need.

    `baseline` has random weights, which take as long as others.
    """
    from malscan.model import EMBEDDED, load_model, save_model
    from malscan.networks import NETWORKS as KNOWN
    from malscan.networks import fold
    from malscan.predictor import rebuild, weights_of

    embedded = load_model(EMBEDDED)
    baseline = fold(KNOWN["baseline"].build(), KNOWN["baseline"])
    folder = place / "baseline"
    folder.mkdir()
    metadata = {
        "name": "baseline",
        "network": "baseline",
        "preprocessing": {"size": 125, "kernel": "pillow-nearest", "rescale": 1 / 255},
        "threshold": 0.5,
        "temperature": 1.0,
    }
    save_model(folder, metadata, weights_of(baseline), None, usual=embedded.usual)
    networks = {"baseline": baseline, "embedded": rebuild(embedded)}
    models = {"baseline": load_model(folder), "embedded": embedded}
    for name, network in networks.items():
        model, operations = models[name], operations_of(network)
        written = Written(operations, model.size, model.kernel, model.rescale)
        (place / f"{name}.pickle").write_bytes(pickle.dumps(written))
        if find_spec("onnx") is not None:
            (place / f"{name}.onnx").write_bytes(onnx_model(operations, model.size))


def serve(name: str, place: Path) -> None:
    """Run a way for each line of stdin; print seconds, images and mean probability as JSON."""
    # Libraries print to stdout; the answers have it to themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    run = WAYS[name].prepare(place)
    for number, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        found = np.concatenate([np.zeros(0, np.float32), *run()])
        seconds = time.perf_counter() - start
        if WAYS[name].network and not WAYS[name].title.startswith("malscan"):
            seconds += _written(found, place / f"{name}-{number}.csv")
        print(json.dumps([seconds, len(found), float(found.mean())]), file=answers, flush=True)


def _written(found: Floats, file: Path) -> float:
    """Seconds to write a report."""
    start = time.perf_counter()
    with file.open("w", encoding="utf-8", newline="") as table:
        csv.writer(table).writerows(enumerate(found.tolist()))
    return time.perf_counter() - start


def _notebook(place: Path) -> Prepared:
    """The notebook's loader and `model.predict`, float32."""
    import tensorflow as tf

    # TensorFlow reads its settings with the first operation, before malscan changes them.
    tf.matmul(tf.eye(2), tf.eye(2))
    from malscan.model import load_model
    from malscan.predictor import rebuild

    network = rebuild(load_model(place / "baseline"))

    def run() -> Iterator[Floats]:
        generator = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)
        flow = generator.flow_from_directory(
            str(place / "cells"), target_size=(125, 125), batch_size=32, shuffle=False
        )
        yield network.predict(flow, verbose=0)[:, 0]

    return run


def _malscan(place: Path, *, network: str, precision: str) -> Prepared:
    """A whole scan: walk, model, inference, report on disk."""
    import pandas as pd

    from malscan.scan import scan
    from malscan.settings import Computing, Precision, ScanSettings

    model = place / "baseline" if network == "baseline" else None
    numbers = iter(range(10**6))

    def run() -> Iterator[Floats]:
        report = place / f"malscan-{os.getpid()}-{next(numbers)}.csv"
        scan(
            ScanSettings(
                paths=(str(place / "cells"),),
                outs=(str(report),),
                model=model,
                computing=Computing(Precision(precision)),
            )
        )
        yield pd.read_csv(report)["probability"].to_numpy(np.float32)

    return run


def _behind_our_pipeline(
    place: Path, *, network: str, load: Callable[[Path, float, int], Run]
) -> Prepared:
    """Another runtime behind malscan's own tf.data pipeline."""
    from malscan.memory import loading_tensorflow

    with loading_tensorflow():
        from malscan.kernel import Kernel
        from malscan.pipeline import batches, usable_cores
        from malscan.preprocess import Preprocessing
        from malscan.walk import Walk

    known = _written_down(place, network)
    preprocessing = Preprocessing(known.size, Kernel(known.kernel), known.rescale)
    run_batch = load(place / f"{network}.onnx", preprocessing.rescale, usable_cores())

    def run() -> Iterator[Floats]:
        loaded = batches(Walk([str(place / "cells")]), preprocessing, batch_size=BATCH)
        for batch in loaded:
            if batch.pixels is not None:
                yield run_batch(batch.pixels.numpy())[: len(batch.items)]

    return run


def _torch(place: Path, *, network: str, bfloat16: bool) -> Prepared:
    """PyTorch with a DataLoader that decodes with Pillow, in a process for each core."""
    from torch.utils.data import DataLoader

    known = _written_down(place, network)
    compute = torch_network(known.operations, bfloat16=bfloat16)
    loader = DataLoader(
        _Cells(place / "cells", known),
        batch_size=BATCH,
        num_workers=len(os.sched_getaffinity(0)),
        persistent_workers=True,
    )

    def run() -> Iterator[Floats]:
        for pixels in loader:
            yield compute(pixels)

    return run


def _written_down(place: Path, network: str) -> Written:
    # By `prepare`, a moment ago.
    known: Written = pickle.loads((place / f"{network}.pickle").read_bytes())
    return known


class _Cells:
    """The cells as PyTorch wants them: float32 [3, size, size] each."""

    def __init__(self, folder: Path, network: Written) -> None:
        self._paths = sorted(folder.rglob("*.png"))
        self._network = network

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, place: int) -> Any:
        import torch
        from PIL import Image

        nearest, size = self._network.kernel == "pillow-nearest", self._network.size
        how = Image.Resampling.NEAREST if nearest else Image.Resampling.BOX
        with Image.open(self._paths[place]) as image:
            small = image.convert("RGB").resize((size, size), how)
        pixels = torch.from_numpy(np.asarray(small).transpose(2, 0, 1).copy())
        return pixels.float().mul_(self._network.rescale)


def _floor(place: Path) -> Prepared:
    """Reading, decoding and a bilinear resize to 64 x 64, as plainly as tf.data can."""
    import tensorflow as tf

    paths = sorted(str(path) for path in (place / "cells").rglob("*.png"))
    cores = len(os.sched_getaffinity(0))

    def load(path: Any) -> Any:
        pixels = tf.io.decode_png(tf.io.read_file(path), channels=3)
        return tf.image.resize(pixels, [64, 64])

    def run() -> Iterator[Floats]:
        data = tf.data.Dataset.from_tensor_slices(paths)
        for batch in data.map(load, num_parallel_calls=cores).batch(BATCH).prefetch(1):
            yield np.zeros(batch.shape[0], np.float32)

    return run


def _loaders(precision: str) -> Iterator[tuple[str, str, Callable[[Path, float, int], Run]]]:
    """The runtimes behind our pipeline: package, name, and what loads a network."""
    short = {"float32": "f32", "bfloat16": "bf16"}[precision]
    yield "openvino", "OpenVINO", partial(openvino, precision=short)
    if precision == "float32":
        yield "onnxruntime", "ONNX Runtime", onnx_runtime


def _ways() -> Iterator[tuple[str, Way]]:
    title = "notebook: ImageDataGenerator, predict, batch 32: baseline, float32"
    yield "notebook", Way(title, _notebook, "baseline")
    for network, precision in product(NETWORKS, ("float32", "bfloat16")):
        key = f"{network}-{precision}"
        words = f"{'the embedded network' if network == 'embedded' else network}, {precision}"
        torch = partial(_torch, network=network, bfloat16=precision == "bfloat16")
        yield f"torch-{key}", Way(f"PyTorch, DataLoader: {words}", torch, network, ("torch",))
        for package, name, load in _loaders(precision):
            run = partial(_behind_our_pipeline, network=network, load=load)
            yield (
                f"{package}-{key}",
                Way(f"{name}, tf.data: {words}", run, network, ("onnx", package)),
            )
        ours = partial(_malscan, network=network, precision=precision)
        yield f"malscan-{key}", Way(f"malscan scan: {words}", ours, network)
    yield "floor", Way("floor: read, decode, bilinear resize to 64 x 64 alone", _floor)


WAYS = dict(_ways())
"""By the names that `--ways` takes."""
