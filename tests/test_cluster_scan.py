"""`malscan scan --cluster`: the report of one machine, whatever becomes of workers and scheduler.

The workers are real processes of Dask, with a model that needs no TensorFlow and with images
that are traps (see `cluster_worker`).
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cluster_worker
import dask.config
import numpy as np
import pytest
from conftest import Cli
from distributed import LocalCluster

from malscan.cluster.pool import Killed, Patience, opened_pool
from malscan.cluster.settings import ClusterSettings
from malscan.cluster.shards import KILLS
from malscan.errors import ExitCode, MalscanError, StoppedError
from malscan.scan import scan
from malscan.scanning.listener import Progress, ScanListener
from malscan.settings import ScanSettings
from malscan.versions import versions

PRELOAD = cluster_worker.__file__


def cluster_of(workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address=None,
        silence_logs=50,
        preload=[PRELOAD],
        scheduler_kwargs={"allowed_failures": 2},
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two workers, who are replaced whenever they die."""
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1w"}), cluster_of(2) as made:
        yield made


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Two slides of ten images each."""
    for number in range(20):
        put(tmp_path / "slides", f"s{number // 10}/{number:02}.png")
    return tmp_path / "slides"


def put(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode())
    return path


def rows(report: Path) -> dict[str, list[str]]:
    """Status, call, probability and error by the name of the image, in the order of the report."""
    lines = report.read_text().splitlines()[1:]
    return {row[0].rsplit("/", 1)[1]: row[2:6] for row in (line.split(",") for line in lines)}


def on(cluster: LocalCluster, *, shard_size: int = 3) -> tuple[str, ...]:
    size = str(shard_size)
    return ("--cluster", cluster.scheduler_address, "--shard-size", size, "--batch-size", size)


def settings(
    cells: Path, report: Path, address: str, shard_size: int = 3, timeout: float = 60
) -> ScanSettings:
    return ScanSettings(
        (str(cells),),
        (str(report),),
        batch_size=shard_size,
        cluster=ClusterSettings.parse(address, shard_size=shard_size, timeout=timeout),
    )


def when(done: int, act: Callable[[], object]) -> ScanListener:
    """Does something once, as soon as so many images are done."""
    acted = False

    def on_progress(progress: Progress) -> None:
        nonlocal acted
        if progress.done >= done and not acted:
            acted = True
            act()

    return ScanListener(on_progress=on_progress)


def test_the_report_holds_every_image_once_in_the_order_of_the_walk(
    cli: Cli, cluster: LocalCluster, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (cells / "s0" / os.fsdecode(b"05\xff.png")).write_bytes(b"not utf-8")
    (cells / "s0" / "03dead.png").symlink_to("nowhere.png")
    (cells / "s0" / "04.txt").touch()

    result = cli("scan", "slides", "--out", "r.csv", *on(cluster))

    assert result.code == 3
    found = rows(tmp_path / "r.csv")
    names = [f"{number:02}.png" for number in range(20)]
    assert list(found) == [*names[:4], "03dead.png", *names[4:6], r"05\xff.png", *names[6:]]
    for number in range(20):
        wanted = cluster_worker.probability(f"s{number // 10}/{number:02}.png".encode())
        assert found[f"{number:02}.png"][2] == f"{wanted:.6f}"
    assert found["03dead.png"] == ["failed", "", "", "no such file or directory"]
    assert found[r"05\xff.png"][0] == "ok"
    assert (tmp_path / "r.csv").read_text().splitlines()[1].startswith("slides/s0/00.png,s0,ok")


def test_the_scheduler_never_sees_many_tasks(
    cli: Cli, cluster: LocalCluster, tmp_path: Path
) -> None:
    for number in range(300):
        put(tmp_path / "many", f"{number:03}.png")
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            seen.append(len(cluster.scheduler.tasks))

    looking = threading.Thread(target=look)
    looking.start()
    result = cli("scan", tmp_path / "many", "--out", tmp_path / "r.csv", *on(cluster, shard_size=1))
    done.set()
    looking.join()

    assert result.code == 0
    # Four to each of two workers, the model, and those that are just being forgotten.
    assert 5 <= max(seen) <= 20
    assert len(rows(tmp_path / "r.csv")) == 300


def test_a_killed_worker_costs_nothing_but_time(
    cluster: LocalCluster, cells: Path, tmp_path: Path
) -> None:
    for number in range(4):
        put(cells, f"s0/{number}slow.png")
    victim = cluster.workers[0]

    result = scan(
        settings(cells, tmp_path / "r.csv", cluster.scheduler_address, 2),
        when(2, lambda: os.kill(victim.pid, signal.SIGKILL)),
    )

    assert result.exit_code == 0
    assert [row[0] for row in rows(tmp_path / "r.csv").values()] == ["ok"] * 24


@pytest.mark.slow
def test_workers_killed_at_random_cost_nothing_but_time(
    cluster: LocalCluster, tmp_path: Path, rng: np.random.Generator
) -> None:
    for number in range(120):
        put(tmp_path / "many", f"{number:03}slow.png")
    over = threading.Event()

    def kill_now_and_then() -> None:
        while not over.wait(rng.uniform(1, 6)):
            # None, for a moment, while a worker is being replaced.
            if victim := cluster.workers[int(rng.integers(2))].pid:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)

    killing = threading.Thread(target=kill_now_and_then)
    killing.start()
    try:
        report = tmp_path / "r.csv"
        result = scan(settings(tmp_path / "many", report, cluster.scheduler_address, 4))
    finally:
        over.set()
        killing.join()

    assert result.exit_code == 0
    assert [row[0] for row in rows(report).values()] == ["ok"] * 120


@pytest.mark.slow
def test_an_image_that_kills_its_workers_is_a_failed_row_and_no_other_is(
    cli: Cli, cluster: LocalCluster, cells: Path, tmp_path: Path
) -> None:
    put(cells, "s0/02kills.png")

    result = cli("scan", cells, "--out", tmp_path / "r.csv", *on(cluster))

    assert result.code == 3
    found = rows(tmp_path / "r.csv")
    assert found.pop("02kills.png") == ["failed", "", "", KILLS]
    assert [row[0] for row in found.values()] == ["ok"] * 20


def test_a_result_that_is_lost_and_kills_when_computed_again_comes_back_as_killed(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    computed = tmp_path / "computed"

    class DiesWhenFetched:
        def __reduce__(self) -> str:
            os.kill(os.getpid(), signal.SIGKILL)
            return "never comes to this"

    def work() -> DiesWhenFetched:
        time.sleep(0.3)
        if computed.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        computed.touch()
        return DiesWhenFetched()

    came: list[tuple[str, object]] = []
    until = time.monotonic() + 100
    with opened_pool(ClusterSettings.parse(cluster.scheduler_address), Patience()) as pool:
        pool.submit("tag", work)
        while pool.under_way and time.monotonic() < until:
            came += pool.finished(wait=True)

    assert computed.exists()
    assert came == [("tag", Killed.KILLED)]


def test_an_image_that_a_worker_does_not_see_stops_the_scan_and_names_both(
    cli: Cli, cluster: LocalCluster, cells: Path, tmp_path: Path
) -> None:
    hidden = put(cells, "s1/15hidden.png")

    result = cli("scan", cells, "--out", tmp_path / "r.csv", *on(cluster))

    assert result.code == 1
    host = socket.gethostname()
    assert f"the worker on {host} cannot open {hidden} (no such file" in result.err
    assert not (tmp_path / "r.csv").exists()


def test_other_versions_are_refused_by_name(
    cli: Cli,
    cluster: LocalCluster,
    cells: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = versions()
    monkeypatch.setattr("malscan.cluster.predict.versions", lambda: {**here, "malscan": "99.0"})

    result = cli("scan", cells, "--out", tmp_path / "r.csv", *on(cluster))

    assert result.code == 1
    has = f"the worker on {socket.gethostname()} has malscan {here['malscan']}, this command "
    assert f"{has}malscan 99.0. Install the same" in result.err


def test_a_fault_in_a_worker_is_told_without_a_traceback(
    cli: Cli, cluster: LocalCluster, cells: Path, tmp_path: Path
) -> None:
    put(cells, "s0/00fails.png")

    result = cli("scan", cells, "--out", tmp_path / "r.csv", *on(cluster))

    assert result.code == 1
    assert "failed (RuntimeError: a fault in the code)" in result.err
    assert "Traceback" not in result.err


def test_a_stopped_scan_leaves_nothing_on_the_cluster_and_goes_on(
    cli: Cli, cluster: LocalCluster, cells: Path, tmp_path: Path
) -> None:
    for number in range(4):
        put(cells, f"s1/{number}slow.png")
    done = 0

    def on_progress(progress: Progress) -> None:
        nonlocal done
        done = progress.done

    def check() -> None:
        if done >= 6:
            raise StoppedError(ExitCode.TERMINATED, "terminated")

    report = tmp_path / "r.csv"
    listener = ScanListener(on_progress=on_progress, check=check)
    with pytest.raises(StoppedError, match="the same command goes on from there"):
        scan(settings(cells, report, cluster.scheduler_address), listener)
    until = time.monotonic() + 10
    while cluster.scheduler.tasks and time.monotonic() < until:
        time.sleep(0.1)
    assert not cluster.scheduler.tasks

    result = cli("scan", cells, "--out", report, *on(cluster))

    assert result.code == 0
    assert "going on with an unfinished run: 6 images are known already" in result.err
    assert len(rows(report)) == 24

    nothing_new = cli("scan", cells, "--out", report, "--update", *on(cluster))
    assert "24 of them were known from an earlier run" in nothing_new.err


def test_nobody_at_the_address_is_told_in_time(cli: Cli, cells: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        args = ("--cluster", address, "--cluster-timeout", 1)

        result = cli("scan", cells, "--out", tmp_path / "r.csv", *args)

    assert result.code == 1
    assert f"no scheduler answers at {address} within 1 s (--cluster-timeout)" in result.err


def test_a_scheduler_without_workers_is_told_and_waited_for(
    cli: Cli, cells: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.csv"
    with cluster_of(0) as empty:
        result = cli("scan", cells, "--out", report, *on(empty), "--cluster-timeout", 1)

        assert result.code == 1
        assert f"no worker has come to {empty.scheduler_address} within 1 s" in result.err

        late = threading.Timer(1, lambda: empty.scale(1))
        late.start()
        assert cli("scan", cells, "--out", report, *on(empty)).code == 0
        late.join()


@contextmanager
def dask_process(program: str, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *args]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_lost_scheduler_ends_the_scan_and_keeps_what_is_finished(
    cli: Cli, cluster: LocalCluster, cells: Path, tmp_path: Path
) -> None:
    for number in range(4):
        put(cells, f"s1/{number}slow.png")
    report, port = tmp_path / "r.csv", str(free_port())
    address = f"tcp://127.0.0.1:{port}"
    common = ("--host", "127.0.0.1", "--no-dashboard")
    with (
        dask_process("scheduler", "--port", port, *common) as scheduler,
        dask_process("worker", address, *common, "--nthreads", "1", "--preload", PRELOAD),
        pytest.raises(MalscanError, match=f"lost the scheduler of {address}.* goes on from there"),
    ):
        scan(settings(cells, report, address, timeout=5), when(6, scheduler.kill))
    assert not report.exists()

    result = cli("scan", cells, "--out", report, *on(cluster))

    assert result.code == 0
    assert "going on with an unfinished run" in result.err
    assert len(rows(report)) == 24
