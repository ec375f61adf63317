"""Images per second from files to report: malscan beside the notebook's way and other runtimes.

    python benchmarks/throughput.py DATA [--images 4000] [--rounds 5] [--chart FILE.svg]

DATA is a folder with the class folders Parasitized and Uninfected. Each way has a process of its
own, so that none changes how another computes; all are warmed up once and then run in turn, on
the same files, round after round. Ratios of one round hold when the speed of a machine drifts,
single figures do not. Other runtimes are tried where they are installed (`malscan[bench]`) and
skipped by name where not; they get the same networks with the same weights. At the end whole
processes are timed: a scan of one image, and `import tensorflow` alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from throughput_ways import WAYS, prepare, serve

SAME = 0.05
"""Most that the mean probability of two runtimes may differ by, for the same network; malscan's is
calibrated, the others' are not."""

AS_IT_CAME = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
"""The environment of each way, from before malscan is imported: what malscan sets in TensorFlow is
for itself alone."""

Rates = dict[str, list[float]]


@dataclass(frozen=True)
class Running:
    """A way that waits for its turn."""

    name: str
    process: subprocess.Popen[str]

    def run(self) -> tuple[float, int, float]:
        """Seconds, number of images, and their mean probability."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: its process has ended")
        seconds, images, mean = json.loads(line)
        return seconds, images, mean


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--way"]:
        serve(sys.argv[2], Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--chart", type=Path, help="where to draw the medians, as SVG")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.data.resolve().parent) as folder:
        place = Path(folder)
        count = link_images(args.data, place / "cells", args.images)
        prepare(place)
        rates = measure(place, [name for name in args.ways if installed(name)], count, args.rounds)
        report(rates, count, args.rounds)
        start_up(place, args.rounds)
    if args.chart is not None:
        draw(rates, args.chart)


def installed(name: str) -> bool:
    """Whether what a way needs is installed; says so where it is not."""
    missing = [package for package in WAYS[name].needs if find_spec(package) is None]
    if missing:
        print(f"skipped, for want of {' and '.join(missing)}: {WAYS[name].title}")
    return not missing


def link_images(source: Path, target: Path, count: int) -> int:
    """Hard-link the first images of each class, half of `count` each."""
    done = 0
    for name in ("Parasitized", "Uninfected"):
        (target / name).mkdir(parents=True)
        for path in sorted((source / name).glob("*.png"))[: count // 2]:
            (target / name / path.name).hardlink_to(path)
            done += 1
    return done


def measure(place: Path, ways: list[str], count: int, rounds: int) -> Rates:
    """Run all ways in turn; images per second by way."""
    rates: Rates = {name: [] for name in ways}
    means: dict[str, tuple[str, float]] = {}
    with ExitStack() as stack:
        running = [stack.enter_context(started(name, place)) for name in ways]
        for number in range(rounds + 1):
            for one in running:
                seconds, images, mean = one.run()
                if images != count:
                    raise SystemExit(f"{one.name} did not see all {count} images")
                if number:
                    rates[one.name].append(count / seconds)
                elif network := WAYS[one.name].network:
                    check_same(one.name, mean, *means.setdefault(network, (one.name, mean)))
    return rates


def check_same(name: str, mean: float, first: str, expected: float) -> None:
    """Make sure that a runtime computes what the first one with the same network does."""
    if abs(mean - expected) > SAME:
        raise SystemExit(f"{name} computes {mean:.4f} on average, {first} {expected:.4f}")


@contextmanager
def started(name: str, place: Path) -> Iterator[Running]:
    """A process for a way, ended with the context."""
    command = [sys.executable, __file__, "--way", name, str(place)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=AS_IT_CAME,
        text=True,
    ) as process:
        try:
            yield Running(name, process)
        finally:
            process.terminate()


def report(rates: Rates, count: int, rounds: int) -> None:
    """Print the medians and what they are in terms of the notebook's way and of the floor."""
    print(f"{count} images, {rounds} rounds in turn, {len(os.sched_getaffinity(0))} cores")
    print(f"{'way':68} {'median':>7} {'min':>7} {'max':>7} x notebook   x floor")
    for name, values in rates.items():
        middle, low, high = statistics.median(values), min(values), max(values)
        ratios = "".join(f"{ratio(rates, name, other):>11}" for other in ("notebook", "floor"))
        print(f"{WAYS[name].title:68} {middle:7.0f} {low:7.0f} {high:7.0f}{ratios}")


def ratio(rates: Rates, name: str, other: str) -> str:
    """Median of the rounds' ratios of one way to another; empty where the other is missing."""
    if other not in rates:
        return ""
    return f"{np.median(np.array(rates[name]) / np.array(rates[other])):.2f}"


def start_up(place: Path, rounds: int) -> None:
    """Print how long a scan of one image takes, beside loading TensorFlow."""
    image = next((place / "cells").rglob("*.png"))
    python = [sys.executable, "-c"]
    # Into a new folder each: it is not to go on from an earlier one.
    scan = "import sys; from malscan.cli import main; sys.argv[1:] = {!r}; main()"
    seconds: dict[str, list[float]] = {"import tensorflow": [], "malscan scan, one image": []}
    for number in range(rounds + 1):
        folder = place / f"one-{number}"
        folder.mkdir()
        words = ["scan", str(image), "--quiet", "--out", str(folder / "report.csv")]
        codes = ("import tensorflow", scan.format(words))
        for code, measured in zip(codes, seconds.values(), strict=True):
            start = time.perf_counter()
            subprocess.run([*python, code], check=True, stderr=subprocess.DEVNULL)
            measured.append(time.perf_counter() - start)
    print("whole processes                        median     min     max  seconds")
    for name, values in seconds.items():
        later = values[1:]
        print(f"{name:38} {statistics.median(later):6.2f} {min(later):7.2f} {max(later):7.2f}")
    plain, ours = (np.array(values[1:]) for values in seconds.values())
    print(f"a scan takes longer by, median of the rounds: {np.median(ours - plain):.2f} s")


def draw(rates: Rates, file: Path) -> None:
    """Draw the medians as bars; the same figures give the same file."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "malscan"})
    titles = [WAYS[name].title for name in rates]
    medians = [statistics.median(values) for values in rates.values()]
    colours = [WAYS[name].colour for name in rates]
    figure, axes = pyplot.subplots(figsize=(9, 0.36 * len(rates) + 0.9), layout="constrained")
    bars = axes.barh(titles, medians, color=colours)
    axes.bar_label(bars, [f"{median:,.0f}" for median in medians], padding=3)
    axes.set_xlim(0, 1.12 * max(medians))
    axes.invert_yaxis()
    axes.set_xlabel("images per second, from files to report")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
