"""Seconds of `malscan scan` here and on a Dask cluster, and what the cluster itself costs.

    python benchmarks/cluster.py DATA [--images 100000] [--workers 1 2] [--rounds 3]

DATA is a folder with cell images, at any depth; a folder tree is made of hard links to them. The
cluster is a scheduler and workers of one thread on this machine, each worker held to one core; all
of it is held to as many cores as the scan without a cluster is. A first short scan lets the
workers load the model. Processor time of the command and of the scheduler is what the system says
of their processes.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from scaling import link

SHARD_SIZE = 2048
WARM_UP = 500


@dataclass(frozen=True)
class Run:
    """One scan: wall time, processor time of the command and of the scheduler, peak memory."""

    seconds: float
    client_seconds: float
    scheduler_seconds: float
    peak_mib: float


def main() -> None:
    """Measure and print."""
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    sources = sorted(args.data.rglob("*.png"))
    print("  images cores  here s cluster s  ratio client us/image scheduler ms/shard client MiB")
    for count in args.images:
        # Beside the data, since hard links do not reach across file systems.
        with tempfile.TemporaryDirectory(dir=args.data.resolve().parent) as folder:
            link(sources, Path(folder) / "slides", count)
            link(sources, Path(folder) / "few", WARM_UP)
            for workers in args.workers:
                rounds = [measure(Path(folder), cores[:workers]) for _ in range(args.rounds)]
                show(count, workers, rounds)


def show(count: int, workers: int, rounds: list[tuple[Run, Run]]) -> None:
    """Print the medians of some rounds."""
    here = median(run.seconds for run, _ in rounds)
    there = median(run.seconds for _, run in rounds)
    ratio = median(there.seconds / here.seconds for here, there in rounds)
    client = median(run.client_seconds for _, run in rounds) * 1e6 / count
    shards = -(-count // SHARD_SIZE)
    scheduler = median(run.scheduler_seconds for _, run in rounds) * 1e3 / shards
    peak = max(run.peak_mib for _, run in rounds)
    print(
        f"{count:8} {workers:5} {here:7.1f} {there:9.1f} {ratio:6.2f} "
        f"{client:15.1f} {scheduler:18.1f} {peak:10.1f}"
    )


def measure(folder: Path, cores: list[int]) -> tuple[Run, Run]:
    """A scan on one machine and one on a cluster with the same cores."""
    here = scan(folder, "slides", cores)
    with cluster(cores) as (address, scheduler):
        args = ("--cluster", address, "--shard-size", str(SHARD_SIZE))
        scan(folder, "few", cores, *args)
        before = processor_seconds(scheduler)
        there = scan(folder, "slides", cores, *args)
        spent = processor_seconds(scheduler) - before
    return here, Run(there.seconds, there.client_seconds, spent, there.peak_mib)


def scan(folder: Path, name: str, cores: list[int], *args: str) -> Run:
    """A scan in a process of its own, held to some cores; it goes on from no other."""
    report = tempfile.mkdtemp(dir=folder) + "/report.csv"
    command = [sys.executable, "-m", "malscan", "scan", str(folder / name), "--quiet", *args]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--out", report], preexec_fn=held_to(cores))
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the scan ended with exit code {process.returncode}")
    spent = usage.ru_utime + usage.ru_stime
    return Run(seconds, spent, 0.0, usage.ru_maxrss / 1024)


@contextmanager
def cluster(cores: list[int]) -> Iterator[tuple[str, int]]:
    """Address of a scheduler with a worker on each core, and the scheduler's process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        scheduler = started(stack, cores, "scheduler", "--port", str(port))
        for core in cores:
            started(stack, [core], "worker", address, "--nthreads", "1")
        yield address, scheduler.pid


def started(
    stack: ExitStack, cores: list[int], program: str, *args: str
) -> subprocess.Popen[bytes]:
    """A process of Dask, ended with the stack."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *args]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--no-dashboard"],
        stderr=subprocess.DEVNULL,
        preexec_fn=held_to(cores),
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def held_to(cores: list[int]) -> Callable[[], None]:
    """What holds a new process to some cores."""
    return lambda: os.sched_setaffinity(0, cores)


def processor_seconds(process: int) -> float:
    """Processor time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
