"""What a worker does with a fold: a process of its own trains it, and it passes on the news.

A worker may have scanned before, which leaves TensorFlow with settings that suit no training,
and a thread cannot be stopped; a process has neither fault.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from malscan.cluster.same import check_versions, unpacked
from malscan.cluster.work import why_not_opened
from malscan.dataset import LabelledCells
from malscan.errors import MalscanError
from malscan.model import METADATA
from malscan.training.fold import Fold

FOLD_PROCESS = "malscan.cluster.fold_process"
TOKEN = "seen-by-all"
"""File by which a worker tells that it sees the folder of the command."""
MESSAGE = "message"
ERROR = "error"

_POLL_SECONDS = 0.5

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class FoldTask:
    """A fold to train on a worker.

    Attributes:
        fold: what to train, by absolute paths.
        labelled: the cells, by absolute paths.
        token: what the file `TOKEN` in the fold's state holds.
        topic: of the messages.
    """

    fold: Fold
    labelled: LabelledCells
    token: str
    topic: str


def train_on_worker(expected: Mapping[str, str], packed_task: bytes) -> str:
    """Train a fold; called on the worker, in a thread of its own.

    Args:
        expected: versions that the command has.
        packed_task: a packed `FoldTask`.

    Returns:
        The name of the worker's machine.

    Raises:
        MalscanError: other versions here, folders that are not seen here, or a fold that
            cannot be trained.
    """
    from distributed import get_worker

    check_versions(expected)
    task: FoldTask = unpacked(packed_task)
    check_sees(task)
    worker, host = get_worker(), socket.gethostname()
    key = worker.get_current_task()

    def say(text: str) -> None:
        # Names of files may hold bytes that are not UTF-8, which Dask would not send.
        sent = text.encode("utf-8", "backslashreplace").decode("utf-8")
        worker.log_event(task.topic, f"fold {task.fold.number}: {sent}")

    def is_wanted() -> bool:
        state = worker.state.tasks.get(key)
        return state is not None and state.state in ("executing", "long-running")

    with _one_at_a_time:
        if (task.fold.settings.out / METADATA).is_file():
            return host  # Done before; only the answer was lost.
        say(f"on {host}")
        command = [sys.executable, "-m", FOLD_PROCESS, str(worker.state.nthreads)]
        fault = supervised(command, packed_task, say, is_wanted)
    if fault:
        raise MalscanError(f"fold {task.fold.number}, on {host}: {fault}")
    return host


def check_sees(task: FoldTask) -> None:
    """Make sure that this machine sees what the command sees.

    Raises:
        MalscanError: it does not see the folder of the model, or a cell.
    """
    host, fold = socket.gethostname(), task.fold
    try:
        found = (fold.state / TOKEN).read_text()
    except OSError:
        found = ""
    if found != task.token:
        raise MalscanError(
            f"the worker on {host} does not see {fold.state.parent}. Name an --out on a drive "
            "that the workers share, under the same path."
        )
    path = fold.split.train[0].path
    if reason := why_not_opened(path):
        raise MalscanError(
            f"the worker on {host} cannot open {path} ({reason}). Workers need the cells under "
            "the same path, as on a shared drive."
        )


def supervised(
    command: list[str], given: bytes, say: Callable[[str], object], is_wanted: Callable[[], bool]
) -> str | None:
    """Run a process to its end, or end it where nobody wants it any more.

    Args:
        command: prints lines of JSON, each a kind and a text.
        given: its input.
        say: gets its messages.
        is_wanted: asked twice a second.

    Returns:
        What went wrong; None if nothing did.
    """
    faults: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        reader = threading.Thread(target=_read, args=[process.stdout, say, faults.append])
        reader.start()
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(given)
                process.stdin.close()
            while process.poll() is None:
                if not is_wanted():
                    return "stopped"
                time.sleep(_POLL_SECONDS)
        finally:
            process.kill()
            reader.join()
    if process.returncode < 0:
        return f"its process was killed by signal {-process.returncode}; is there enough memory?"
    if process.returncode and not faults:
        return "its process failed; the log of the worker says more"
    return faults[0] if faults else None


def _read(lines: IO[bytes], say: Callable[[str], object], fail: Callable[[str], object]) -> None:
    for line in lines:
        kind, text = json.loads(line)
        (fail if kind == ERROR else say)(text)
