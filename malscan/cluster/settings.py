"""Which cluster to compute on; light, so that a usage error is told at once."""

import re
from dataclasses import dataclass
from importlib.util import find_spec

from malscan.errors import UsageError

LOCAL = "local"
BATCH_SYSTEMS = ("slurm", "pbs", "sge", "lsf")
SHARD_SIZE = 2000
TIMEOUT = 60.0

_LARGEST_SHARD = 1_000_000
_MOST_WORKERS = 10_000
_YEAR = 366 * 24 * 3600


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Where to compute, and in what pieces.

    Attributes:
        name: address of a running scheduler, `local`, or a batch system.
        workers: processes to start here, or jobs to ask the batch system for; None for what
            suits this machine, or one job.
        shard_size: images that are sent to a worker at once.
        timeout: seconds to wait for the scheduler, and for a worker.

    Raises:
        UsageError: the extra is not installed, or a number is out of its range.
    """

    name: str
    workers: int | None = None
    shard_size: int = SHARD_SIZE
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        wanted = ["distributed"]
        if self.is_local or self.is_batch:
            wanted.append("cryptography")
        if self.is_batch:
            wanted.append("dask_jobqueue")
        if any(find_spec(package) is None for package in wanted):
            raise UsageError("--cluster needs Dask: pip install 'malscan[cluster]'")
        if not 1 <= self.shard_size <= _LARGEST_SHARD:
            raise UsageError(f"--shard-size {self.shard_size} is not 1 to {_LARGEST_SHARD}")
        if not 0 < self.timeout <= _YEAR:
            raise UsageError(f"--cluster-timeout {self.timeout:g} is not a number of seconds")
        if self.workers is not None and not 1 <= self.workers <= _MOST_WORKERS:
            raise UsageError(f"--cluster {self}: give 1 to {_MOST_WORKERS} workers")

    @property
    def is_local(self) -> bool:
        """Whether the workers are processes on this machine."""
        return self.name == LOCAL

    @property
    def is_batch(self) -> bool:
        """Whether the workers are jobs of a batch system."""
        return self.name in BATCH_SYSTEMS

    def __str__(self) -> str:
        return self.name if self.workers is None else f"{self.name}:{self.workers}"

    @classmethod
    def parse(
        cls, text: str, *, shard_size: int = SHARD_SIZE, timeout: float = TIMEOUT
    ) -> "ClusterSettings":
        """Read what follows `--cluster`, as `tcp://node7:8786` or `slurm:16`.

        Raises:
            UsageError: the text is not like that, or see above.
        """
        started = re.fullmatch(rf"({'|'.join((LOCAL, *BATCH_SYSTEMS))})(?::(\d+))?", text)
        if started:
            workers = None if started[2] is None else int(started[2])
            return cls(started[1], workers, shard_size, timeout)
        if not re.fullmatch(r"(tcp|tls)://\S+:\d+", text):
            raise UsageError(
                f"--cluster {text!r} is not understood. Give the address of a Dask scheduler "
                f"(tcp://HOST:8786), or {', '.join((LOCAL, *BATCH_SYSTEMS))}, with or without a "
                "number of workers (local:4)."
            )
        return cls(text, None, shard_size, timeout)
