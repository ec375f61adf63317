"""Tasks under way on a Dask cluster, and what becomes of them."""

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar
from uuid import uuid4

from distributed import Future, KilledWorker

from malscan.cluster.connect import Connection, connected
from malscan.cluster.settings import ClusterSettings
from malscan.errors import MalscanError
from malscan.versions import versions

Tag = TypeVar("Tag")

_POLL_SECONDS = 0.05
_WAIT_SECONDS = 1.0
_LOOK_SECONDS = 2.0


class Killed(Enum):
    """Stands for the result of a task that has killed several workers."""

    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class _Failed:
    """What became of a task without a result.

    Attributes:
        error: that the task has failed with; None if it was not the task that failed.
    """

    error: Exception | None


@dataclass(frozen=True, slots=True)
class Patience:
    """How to wait for a cluster.

    Attributes:
        check: called many times a second while waiting; ends the wait by raising.
        busy: entered while there is nobody who could compute.
        left_behind: gives the last sentence of an error: what there is, and what to do.
        say: called with one line about what goes on.
        heard: called when tasks have finished.
    """

    check: Callable[[], object] = lambda: None
    busy: Callable[[], AbstractContextManager[None]] = nullcontext
    left_behind: Callable[[], str] = lambda: ""
    say: Callable[[str], object] = lambda text: None
    heard: Callable[[], object] = lambda: None


class Pool(Generic[Tag]):
    """Sends tasks to the workers of a cluster and collects their results as they come.

    Attributes:
        workers: number of worker processes, as of a moment ago.
        under_way: number of tasks that have been sent and have not come back.
    """

    def __init__(
        self, connection: Connection, settings: ClusterSettings, patience: Patience
    ) -> None:
        """Wait for a worker.

        Args:
            connection: to the cluster.
            settings: how long to wait for a worker.
            patience: how to wait.

        Raises:
            MalscanError: there is no worker within that time.
        """
        self._connection = connection
        self._client = connection.client
        self._settings = settings
        self._patience = patience
        self._came: queue.SimpleQueue[tuple[Tag, Any | _Failed]] = queue.SimpleQueue()
        self.under_way = 0
        self._name = f"malscan-{uuid4().hex}"
        self._sent = 0
        self._looked = 0.0
        self.workers = 0
        self._look()

    def share(self, data: bytes) -> Future:
        """Something that several tasks need; it is computed, so that no death can lose it."""
        return self._client.submit(bytes, data, key=f"{self._name}-shared", pure=False)

    def listen(self, topic: str, hear: Callable[[str], object]) -> None:
        """Hear what tasks say.

        Args:
            topic: what they log their messages under.
            hear: gets each message, in another thread.
        """
        self._client.subscribe_topic(topic, lambda event: hear(event[1]))

    def submit(
        self, tag: Tag, function: Callable[..., Any], *args: Any, urgent: bool = False
    ) -> None:
        """Send a task.

        Args:
            tag: comes back with its result.
            function: what to call on the worker.
            *args: its arguments.
            urgent: before all others that wait.
        """
        self._sent += 1
        # One group of tasks: Dask then deals them out one by one to whoever has least to do.
        key, priority = (self._name, self._sent), 1 if urgent else 0
        try:
            future = self._client.submit(function, *args, key=key, pure=False, priority=priority)
        except Exception:
            if self._client.status == "running":
                raise
            raise self._lost() from None
        self.under_way += 1
        self._client.loop.add_callback(self._collect, tag, future)

    async def _collect(self, tag: Tag, future: Future) -> None:
        """Wait, in Dask's thread, for what becomes of a task.

        Dask's `as_completed` would wait for ever for a task whose result is lost with its worker
        and that fails when it is computed again.
        """
        result: Any
        try:
            result = await self._client.gather(future, asynchronous=True)
        except Exception as error:
            result = _Failed(error if future.status == "error" else None)
        self._came.put((tag, result))

    def finished(self, *, wait: bool) -> list[tuple[Tag, Any | Killed]]:
        """What became of tasks that have finished since the last call.

        Args:
            wait: if there is none, wait a little for one.

        Raises:
            MalscanError: a task has failed, the scheduler is lost, or all workers are.
        """
        self._look()
        until = time.monotonic() + _WAIT_SECONDS
        while wait and self.under_way and self._came.empty() and time.monotonic() < until:
            self._patience.check()
            time.sleep(_POLL_SECONDS)
        done = []
        while not self._came.empty():
            tag, result = self._came.get()
            self.under_way -= 1
            done.append((tag, self._outcome(result)))
        if done:
            self._patience.heard()
        return done

    def _outcome(self, result: Any | _Failed) -> Any | Killed:
        """What a result stands for."""
        if not isinstance(result, _Failed):
            return result
        error = result.error
        if error is None:
            raise self._lost()
        if isinstance(error, KilledWorker):
            return Killed.KILLED
        if isinstance(error, MalscanError):
            raise self._error(str(error))
        kind = f"{type(error).__name__}: {error}"
        if isinstance(error, ImportError | AttributeError):
            raise self._error(
                f"a worker of {self._settings} cannot run malscan ({kind}). Install malscan "
                f"{versions()['malscan']} in the environment of the workers"
            )
        raise self._error(f"a worker of {self._settings} failed ({kind}); its log says more")

    def _error(self, what: str) -> MalscanError:
        return MalscanError(f"{what.rstrip('.')}. {self._patience.left_behind()}".strip())

    def _lost(self) -> MalscanError:
        return self._error(
            f"lost the scheduler of {self._settings}. Start it again, or name another"
        )

    def _look(self) -> None:
        """Count the workers now and then; where there is none, wait for one."""
        if time.monotonic() < self._looked + _LOOK_SECONDS:
            return
        self._count()
        if self.workers:
            return
        self._patience.say(f"waiting for a worker of {self._settings}")
        with self._patience.busy():
            until = time.monotonic() + self._settings.timeout
            while not self.workers:
                if time.monotonic() > until:
                    raise self._no_worker()
                self._patience.check()
                time.sleep(_POLL_SECONDS)
                self._count()

    def _count(self) -> None:
        try:
            self.workers = len(self._client.nthreads())
        except (OSError, ValueError, AttributeError, RuntimeError):
            # A client that has lost its scheduler raises one of these, as the moment wants it.
            raise self._lost() from None
        self._connection.revive()
        self._looked = time.monotonic()

    def _no_worker(self) -> MalscanError:
        before = "is left of" if self._sent else "has come to"
        return self._error(
            f"no worker {before} {self._settings} within {self._settings.timeout:g} s "
            f"(--cluster-timeout). {self._advice()}"
        )

    def _advice(self) -> str:
        if self._settings.is_batch:
            return "See whether the batch system has started the jobs, and what their logs say."
        if self._settings.is_local:
            return "See whether this machine has enough memory for its workers."
        return "Start workers: dask worker ADDRESS"


@contextmanager
def opened_pool(settings: ClusterSettings, patience: Patience) -> Iterator[Pool[Any]]:
    """A pool on a cluster; what is under way when the context ends is given up.

    Raises:
        MalscanError: no scheduler, or no worker, within the time.
    """
    with ExitStack() as stack:
        with patience.busy():
            connection = stack.enter_context(connected(settings, patience.check))
        yield Pool(connection, settings, patience)
