"""Seconds and peak memory of `malscan scan` at several numbers of images and of cores.

    python benchmarks/scaling.py DATA [--images 1000 10000 100000] [--cores 1 2]

DATA is a folder with cell images, at any depth. For each number a folder tree is made of hard
links, at most 5,000 to a folder, and scanned by processes of their own, each held to some of the
cores; the peak resident memory is what the system reports when the process has ended. The
seconds hold everything, from the start of Python on.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PER_FOLDER = 5000


def main() -> None:
    """Measure and print."""
    available = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--cores", type=int, nargs="+", default=[len(available)])
    args = parser.parse_args()
    sources = sorted(args.data.rglob("*.png"))
    first: dict[int, int] = {}
    print("  images cores  seconds images/s   ms/image  peak MiB   growth")
    for count in args.images:
        # Beside the data, since hard links do not reach across file systems.
        with tempfile.TemporaryDirectory(dir=args.data.resolve().parent) as folder:
            link(sources, Path(folder) / "slides", count)
            for cores in args.cores:
                seconds, peak = measure(Path(folder), set(available[:cores]))
                growth = 100 * peak / first.setdefault(cores, peak) - 100
                print(
                    f"{count:8} {cores:5} {seconds:8.1f} {count / seconds:8.0f} "
                    f"{1000 * seconds / count:10.3f} {peak / 1024:9.1f} {growth:+7.1f} %"
                )


def link(sources: list[Path], target: Path, count: int) -> None:
    """Hard-link `count` images, going round the sources as often as needed."""
    for number, source in zip(range(count), itertools.cycle(sources), strict=False):
        folder = target / f"slide-{number // PER_FOLDER:04}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"cell_{number:07}.png").hardlink_to(source)


def measure(folder: Path, cores: set[int]) -> tuple[float, int]:
    """Seconds, and peak resident memory in KiB, of a scan in a process of its own."""
    report = folder / "report.csv"
    command = [sys.executable, "-m", "malscan", "scan", str(folder / "slides"), "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--out", str(report)],
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the scan ended with exit code {process.returncode}")
    return seconds, usage.ru_maxrss


if __name__ == "__main__":
    main()
