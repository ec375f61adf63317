"""Images per second from files to result: malscan beside the notebook's own way.

    python benchmarks/throughput.py DATA [--rounds 5] [--images 5000]

DATA is a folder with the class folders Parasitized and Uninfected. Both ways run in turn in this
process, on the same files, after one warm-up each; the script prints the median of each and the
ratio, and writes nothing but its own table. Ratios hold when the speed of a machine drifts,
single figures do not.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from malscan.networks import BASELINE_PREPROCESSING, COMPACT_PREPROCESSING, baseline
from malscan.pipeline import batches
from malscan.scan import scan
from malscan.settings import ScanSettings
from malscan.walk import Walk


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=5000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cells"
        count = link_images(args.data, data, args.images)
        ways = {
            "notebook: ImageDataGenerator + baseline.predict, batch 32": notebook_way(data),
            "malscan scan, embedded model": malscan_way(data, Path(folder) / "report.csv"),
            "read + decode + resize alone (malscan's pipeline)": pipeline_alone(data),
        }
        rates = measure(ways, count, args.rounds)
    print(f"{count} images, {args.rounds} rounds in turn, {len(os.sched_getaffinity(0))} cores")
    print(f"{'way':60} {'median':>8} {'min':>8} {'max':>8}  img/s")
    for way, values in rates.items():
        middle, low, high = statistics.median(values), min(values), max(values)
        print(f"{way:60} {middle:8.0f} {low:8.0f} {high:8.0f}")
    reference, ours, floor = (np.array(values) for values in rates.values())
    print(f"malscan / notebook, median of the rounds' ratios: {np.median(ours / reference):.2f}")
    print(f"malscan / pipeline alone:                         {np.median(ours / floor):.2f}")


def link_images(source: Path, target: Path, count: int) -> int:
    """Hard-link the first images of each class, half of `count` each."""
    done = 0
    for name in ("Parasitized", "Uninfected"):
        (target / name).mkdir(parents=True)
        for path in sorted((source / name).glob("*.png"))[: count // 2]:
            _link(path, target / name / path.name)
            done += 1
    return done


def measure(ways: dict[str, Callable[[], int]], count: int, rounds: int) -> dict[str, list[float]]:
    """Run all ways in turn; images per second by way."""
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, run in ways.items():
            start = time.perf_counter()
            if run() != count:
                raise SystemExit(f"{way} did not see all {count} images")
            if number:
                rates[way].append(count / (time.perf_counter() - start))
    return rates


def notebook_way(data: Path) -> Callable[[], int]:
    """The notebook's loader and `model.predict`, float32; weights do not matter for speed."""
    network = baseline()
    size = BASELINE_PREPROCESSING.size

    def run() -> int:
        generator = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)
        flow = generator.flow_from_directory(
            str(data), target_size=(size, size), batch_size=32, shuffle=False
        )
        return len(network.predict(flow, verbose=0))

    return run


def malscan_way(data: Path, report: Path) -> Callable[[], int]:
    """A whole scan: walk, model loading, inference, report on disk."""

    def run() -> int:
        return scan(ScanSettings(paths=(str(data),), outs=(str(report),))).summary.total.classified

    return run


def pipeline_alone(data: Path) -> Callable[[], int]:
    """The pipeline without a network."""

    def run() -> int:
        loaded = batches(Walk([str(data)]), COMPACT_PREPROCESSING, batch_size=256)
        return sum(item.error is None for batch in loaded for item in batch.items)

    return run


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        target.write_bytes(source.read_bytes())


if __name__ == "__main__":
    main()
