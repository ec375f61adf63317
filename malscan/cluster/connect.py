"""Connects to a Dask cluster, or starts one and ends it."""

import logging
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import dask.config
from distributed import Client, Nanny, Scheduler, Security, SpecCluster

from malscan.cluster.settings import ClusterSettings
from malscan.errors import MalscanError
from malscan.hardware import visible_gpus

DEATHS = 3
"""Workers that a shard may kill before it is suspected, where we start the scheduler."""

_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 20.0
_CORES_TO_A_WORKER = 4
_BATCH_CLASSES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
}


class Connection:
    """An open connection.

    Attributes:
        client: connected to the scheduler.
    """

    def __init__(self, client: Client, cluster: Any, jobs: int) -> None:
        """Take over what `connected` has opened."""
        self.client = client
        self._cluster = cluster
        self._jobs = jobs

    def revive(self) -> None:
        """Ask the batch system again for jobs that are gone, as by the end of their time."""
        if self._jobs:
            self._cluster.scale(jobs=self._jobs)


def prepare(settings: ClusterSettings) -> None:
    """Load what a cluster needs; to be called in the main thread, before `connected`.

    dask-jobqueue takes Ctrl-C for itself when it is loaded; it is given back here.
    """
    if settings.is_batch:
        ours = signal.getsignal(signal.SIGINT)
        try:
            import_module("dask_jobqueue")
        finally:
            signal.signal(signal.SIGINT, ours)


@contextmanager
def connected(
    settings: ClusterSettings, check: Callable[[], object] = lambda: None
) -> Iterator[Connection]:
    """A connection to the cluster; what was started for it is ended with it.

    Args:
        settings: which cluster.
        check: called again and again while waiting; may raise.

    Raises:
        MalscanError: no scheduler answers within the time, or none can be started.
    """
    _hush()
    with ExitStack() as stack:
        cluster, jobs = None, 0
        if settings.is_local:
            # A worker that dies again while it is being replaced is not to be given up.
            stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "52w"}))
            cluster = stack.enter_context(_closing(_local_cluster(settings)))
        elif settings.is_batch:
            jobs = settings.workers or 1
            cluster = stack.enter_context(_closing(_batch_cluster(settings)))
            _submit(cluster, jobs, settings)
        client = stack.enter_context(_closing(_client(settings, cluster, check)))
        yield Connection(client, cluster, jobs)


def _hush() -> None:
    """Keep Dask's log off the terminal, unless its configuration asks for one."""
    if not dask.config.get("logging", None):
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] in ("distributed", "tornado"):
                logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def _closing(what: Any) -> Iterator[Any]:
    try:
        yield what
    finally:
        # The other side may be gone, or hang; there is nothing more to lose.
        with suppress(Exception):
            what.close(timeout=_CLOSE_SECONDS)


def _client(settings: ClusterSettings, cluster: Any, check: Callable[[], object]) -> Client:
    until = time.monotonic() + settings.timeout
    while True:
        check()
        left = min(until - time.monotonic(), _CONNECT_SECONDS)
        try:
            place = settings.name if cluster is None else cluster
            return Client(place, timeout=left, set_as_default=False)
        except (OSError, TimeoutError):
            if time.monotonic() < until:
                continue
            raise MalscanError(
                f"no scheduler answers at {settings} within {settings.timeout:g} s "
                "(--cluster-timeout). Start one (dask scheduler), or check the address."
            ) from None
        except (TypeError, ValueError) as error:
            raise MalscanError(
                f"cannot connect to {settings}: {error}. For tls://, Dask's configuration names "
                "the certificates (distributed.comm.tls)."
            ) from None


def _local_cluster(settings: ClusterSettings) -> SpecCluster:
    """Worker processes on this machine, who share out its cores and GPUs."""
    cores, gpus = len(os.sched_getaffinity(0)), visible_gpus()
    count = settings.workers or len(gpus) or max(1, cores // _CORES_TO_A_WORKER)
    # Anyone on this machine could run code in our name through an open port.
    common = {"host": "127.0.0.1", "protocol": "tls://", "security": Security.temporary()}
    worker = {"nthreads": max(1, cores // count), "memory_limit": 0, "dashboard": False, **common}
    workers = {
        number: {
            "cls": Nanny,
            "options": {**worker, "env": _environment(gpus[number % len(gpus)] if gpus else None)},
        }
        for number in range(count)
    }
    options = {"dashboard": False, "dashboard_address": "127.0.0.1:0", **common}
    scheduler = {"cls": Scheduler, "options": {"allowed_failures": DEATHS - 1, **options}}
    try:
        return SpecCluster(workers, scheduler, security=common["security"], silence_logs=50)
    except (OSError, RuntimeError) as error:
        raise MalscanError(f"cannot start workers on this machine: {error}") from None


def _environment(gpu: str | None) -> dict[str, str]:
    return {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}


def _batch_cluster(settings: ClusterSettings) -> Any:
    """A scheduler here, whose workers are to be jobs of a batch system."""
    kind = getattr(import_module("dask_jobqueue"), _BATCH_CLASSES[settings.name])
    command = shlex.split(kind.job_cls.submit_command)[0]
    if shutil.which(command) is None:
        raise MalscanError(
            f"--cluster {settings}: there is no {command} on this machine. Run malscan where jobs "
            "are submitted, or name a scheduler that runs already (tcp://HOST:8786)."
        )
    configured = dask.config.get(f"jobqueue.{settings.name}")
    options = {"dashboard": False, "dashboard_address": ":0"}
    with dask.config.set({"distributed.scheduler.allowed-failures": DEATHS - 1}):
        try:
            return kind(
                # Without, anyone in the network could run code in our name.
                security=True,
                shared_temp_directory=configured["shared-temp-directory"] or str(Path.home()),
                scheduler_options={**options, **configured["scheduler-options"]},
                silence_logs=50,
            )
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise MalscanError(
                f"--cluster {settings}: {reason} Say it in Dask's configuration: "
                f"jobqueue.{settings.name} in ~/.config/dask/jobqueue.yaml"
            ) from None


def _submit(cluster: Any, jobs: int, settings: ClusterSettings) -> None:
    """Submit the jobs at once: a later attempt of the cluster itself would tell nobody."""
    for _ in range(jobs):
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        cluster.sync(cluster._correct_state)
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise MalscanError(f"--cluster {settings}: cannot submit a job: {reason}") from None
