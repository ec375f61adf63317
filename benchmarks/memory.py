"""Peak memory of `malscan scan` at several numbers of images.

    python benchmarks/memory.py DATA [--images 5000 20000]

DATA is a folder with cell images, at any depth. For each number a folder tree is made of hard
links, at most 5,000 to a folder, and scanned by a process of its own; its peak resident memory
is what the system reports when it has ended.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PER_FOLDER = 5000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[5000, 20000])
    args = parser.parse_args()
    sources = sorted(args.data.rglob("*.png"))
    first = None
    for count in args.images:
        # Beside the data, since hard links do not reach across file systems.
        with tempfile.TemporaryDirectory(dir=args.data.resolve().parent) as folder:
            link(sources, Path(folder) / "slides", count)
            peak = peak_of_scan(Path(folder))
        first = first or peak
        print(f"{count:8} images: peak {peak / 1024:8.1f} MiB, {100 * peak / first - 100:+.1f} %")


def link(sources: list[Path], target: Path, count: int) -> None:
    """Hard-link `count` images, going round the sources as often as needed."""
    for number, source in zip(range(count), itertools.cycle(sources), strict=False):
        folder = target / f"slide-{number // PER_FOLDER:04}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"cell_{number:07}.png").hardlink_to(source)


def peak_of_scan(folder: Path) -> int:
    """Peak resident memory in KiB of a scan in a process of its own."""
    report = folder / "report.csv"
    command = [sys.executable, "-m", "malscan", "scan", str(folder / "slides"), "--quiet"]
    process = subprocess.Popen([*command, "--out", str(report)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the scan ended with exit code {process.returncode}")
    return usage.ru_maxrss


if __name__ == "__main__":
    main()
