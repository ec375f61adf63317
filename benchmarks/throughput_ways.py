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
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from other_runtimes import Run, onnx_model, onnx_runtime, openvino, operations_of, torch_network

BATCH = 256
NETWORKS = ("baseline", "compact")

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


def prepare(place: Path) -> None:
    """Write down the networks in all forms that the ways need.

    `compact` has the weights of the embedded model, `baseline` random ones, which take as long.
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
    for name, network in (("baseline", baseline), ("compact", rebuild(embedded))):
        operations = operations_of(network)
        (place / f"{name}.pickle").write_bytes(pickle.dumps(operations))
        if "onnx" in sys.modules or _is_installed("onnx"):
            model = onnx_model(operations, network.input_shape[1])
            (place / f"{name}.onnx").write_bytes(model)


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
    from malscan.networks import NETWORKS as KNOWN
    from malscan.pipeline import batches, usable_cores
    from malscan.walk import Walk

    preprocessing = KNOWN[network].preprocessing
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

    # Written by `prepare` a moment ago.
    operations = pickle.loads((place / f"{network}.pickle").read_bytes())
    compute = torch_network(operations, bfloat16=bfloat16)
    loader = DataLoader(
        _Cells(place / "cells", network),
        batch_size=BATCH,
        num_workers=len(os.sched_getaffinity(0)),
        persistent_workers=True,
    )

    def run() -> Iterator[Floats]:
        for pixels in loader:
            yield compute(pixels)

    return run


class _Cells:
    """The cells as PyTorch wants them: float32 [3, size, size] each."""

    def __init__(self, folder: Path, network: str) -> None:
        self._paths = sorted(folder.rglob("*.png"))
        self._size = 125 if network == "baseline" else 64
        self._nearest = network == "baseline"

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, place: int) -> Any:
        import torch
        from PIL import Image

        how = Image.Resampling.NEAREST if self._nearest else Image.Resampling.BOX
        with Image.open(self._paths[place]) as image:
            small = image.convert("RGB").resize((self._size, self._size), how)
        pixels = torch.from_numpy(np.asarray(small).transpose(2, 0, 1).copy())
        return pixels.float().div_(255)


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


def _is_installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _openvino(precision: str) -> Callable[[Path, float, int], Run]:
    return partial(openvino, precision=precision)


def _ways() -> Iterator[tuple[str, Way]]:
    yield "notebook", Way("notebook: ImageDataGenerator, predict, batch 32", _notebook, "baseline")
    for network in NETWORKS:
        for short in ("float32", "bfloat16") if network == "baseline" else ("float32",):
            suffix = f"{network}, {short}"
            yield (
                f"torch-{network}-{short}",
                Way(
                    f"PyTorch, DataLoader: {suffix}",
                    partial(_torch, network=network, bfloat16=short == "bfloat16"),
                    network,
                    ("torch",),
                ),
            )
            yield (
                f"openvino-{network}-{short}",
                Way(
                    f"OpenVINO, tf.data: {suffix}",
                    partial(
                        _behind_our_pipeline,
                        network=network,
                        load=_openvino({"float32": "f32", "bfloat16": "bf16"}[short]),
                    ),
                    network,
                    ("onnx", "openvino"),
                ),
            )
            if short == "float32":
                yield (
                    f"onnxruntime-{network}-{short}",
                    Way(
                        f"ONNX Runtime, tf.data: {suffix}",
                        partial(_behind_our_pipeline, network=network, load=onnx_runtime),
                        network,
                        ("onnx", "onnxruntime"),
                    ),
                )
            title = f"malscan scan: {suffix}"
            if network == "compact":
                title = "malscan scan: the embedded model, float32"
            yield (
                f"malscan-{network}-{short}",
                Way(title, partial(_malscan, network=network, precision=short), network),
            )
    yield "floor", Way("floor: read, decode, bilinear resize to 64 x 64 alone", _floor)


WAYS = dict(_ways())
"""By the names that `--ways` takes."""
