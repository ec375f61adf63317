"""`--cluster slurm`: the job script, and a scan through jobs of a stand-in for a batch system."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cluster_worker
import dask.config
import pytest
from conftest import Cli

from malscan.cluster.connect import connected, prepare
from malscan.cluster.settings import ClusterSettings
from malscan.errors import MalscanError
from malscan.scan import scan
from malscan.scanning.listener import Progress, ScanListener
from malscan.settings import ScanSettings

SLURM = ClusterSettings.parse("slurm")
SBATCH = """#!/bin/sh
cp "$1" "{folder}/job-$$.sh"
setsid sh "{folder}/job-$$.sh" >/dev/null 2>&1 &
echo $! >>"{folder}/submitted"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
echo "$1" >>"{folder}/cancelled"
kill -9 -- -"$1"
"""


@pytest.fixture
def batch_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with commands that run jobs on this machine; it keeps their scripts."""
    folder = tmp_path / "batch"
    folder.mkdir()
    for name, script in {"sbatch": SBATCH, "scancel": SCANCEL}.items():
        (folder / name).write_text(script.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    configured = {
        "jobqueue.slurm.cores": 1,
        "jobqueue.slurm.memory": "2GiB",
        "jobqueue.slurm.queue": "gpu",
        "jobqueue.slurm.walltime": "04:00:00",
        "jobqueue.slurm.job-extra-directives": ["--gres=gpu:1"],
        "jobqueue.slurm.worker-extra-args": ["--preload", cluster_worker.__file__],
        "jobqueue.slurm.shared-temp-directory": str(tmp_path),
        "jobqueue.slurm.scheduler-options": {"host": "127.0.0.1"},
        "distributed.deploy.lost-worker-timeout": "1s",
    }
    prepare(SLURM)
    with dask.config.set(configured):
        yield folder
    for job in jobs(folder, "submitted"):
        with suppress(ProcessLookupError):
            os.killpg(job, signal.SIGKILL)


def jobs(folder: Path, what: str) -> list[int]:
    listed = folder / what
    return [int(line) for line in listed.read_text().split()] if listed.exists() else []


def put(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_scan_by_jobs_of_the_batch_system(cli: Cli, batch_system: Path, tmp_path: Path) -> None:
    cells = put(tmp_path / "cells", "a.png", "b.png")

    result = cli("scan", cells, "--out", tmp_path / "r.csv", "--cluster", "slurm:1")

    assert result.code == 0
    assert (tmp_path / "r.csv").read_text().count(",ok,") == 2
    assert jobs(batch_system, "submitted") == jobs(batch_system, "cancelled") != []
    (script,) = batch_system.glob("job-*.sh")
    said = script.read_text()
    for line in ("-p gpu", "--cpus-per-task=1", "--mem=2G", "-t 04:00:00", "--gres=gpu:1"):
        assert f"#SBATCH {line}\n" in said
    # Nobody else in the network may send work to our workers.
    assert "dask_worker tls://127.0.0.1:" in said
    assert "--tls-key" in said
    assert "--nthreads 1" in said


@pytest.mark.slow
def test_a_job_that_is_gone_is_submitted_again(batch_system: Path, tmp_path: Path) -> None:
    cells = put(tmp_path / "cells", *(f"{number}slow.png" for number in range(20)))
    cluster = ClusterSettings.parse("slurm:1", shard_size=1)
    settings = ScanSettings(
        (str(cells),), (str(tmp_path / "r.csv"),), batch_size=1, cluster=cluster
    )

    def end_the_job(progress: Progress) -> None:
        if progress.done >= 3 and len(jobs(batch_system, "submitted")) == 1:
            with suppress(ProcessLookupError):
                os.killpg(jobs(batch_system, "submitted")[0], signal.SIGKILL)

    result = scan(settings, ScanListener(on_progress=end_the_job))

    assert result.exit_code == 0
    assert (tmp_path / "r.csv").read_text().count(",ok,") == 20
    assert len(jobs(batch_system, "submitted")) == 2


def test_ctrl_c_stays_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("dask_jobqueue")]:
        monkeypatch.delitem(sys.modules, name)
    before = signal.getsignal(signal.SIGINT)

    prepare(SLURM)

    assert "dask_jobqueue" in sys.modules
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
def test_workers_of_this_machine_are_talked_to_by_tls() -> None:
    with connected(ClusterSettings.parse("local:1")) as connection:
        assert connection.client.scheduler.address.startswith("tls://127.0.0.1:")


def test_no_batch_system_here_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with (
        pytest.raises(MalscanError, match=r"there is no qsub on this machine.*tcp://HOST"),
        connected(ClusterSettings.parse("pbs:2")),
    ):
        pass


def test_what_the_configuration_lacks_is_told(batch_system: Path) -> None:
    with (
        dask.config.set({"jobqueue.slurm.cores": None}),
        pytest.raises(MalscanError, match=r"specify how much cores.*jobqueue\.slurm"),
        connected(SLURM),
    ):
        pass


def test_a_job_that_cannot_be_submitted_is_told(batch_system: Path) -> None:
    (batch_system / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")

    with (
        pytest.raises(MalscanError, match=r"cannot submit a job:.*invalid partition"),
        connected(SLURM),
    ):
        pass
