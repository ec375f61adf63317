"""The process that trains a fold: `python -m malscan.cluster.fold_process THREADS`.

Reads a packed `FoldTask` and prints lines of JSON, each a kind and a text. It ends when the
worker that has started it is gone.
"""

import json
import os
import sys
from collections.abc import Callable

import tensorflow as tf

from malscan.atomic import locked
from malscan.cluster.fold_work import ERROR, MESSAGE, FoldTask
from malscan.cluster.same import unpacked
from malscan.errors import MalscanError
from malscan.training.listener import TrainListener
from malscan.training.one_model import train_split
from malscan.training.workplace import use_machine

_OTHER_ENDS_SECONDS = 60.0
"""How long a process whose worker was killed may take to notice that."""


def main() -> None:
    """Train the fold."""
    # Whatever else is printed belongs into the log of the worker.
    with os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8") as out:
        os.dup2(2, 1)

        def tell(kind: str, text: str) -> None:
            out.write(json.dumps([kind, text]) + "\n")

        try:
            _train(unpacked(sys.stdin.buffer.read()), int(sys.argv[1]), tell)
        except MalscanError as error:
            tell(ERROR, str(error))
            sys.exit(error.exit_code)


def _train(task: FoldTask, threads: int, tell: Callable[[str, str], object]) -> None:
    parent, fold = os.getppid(), task.fold

    def check_parent(*done: int) -> None:
        if os.getppid() != parent:
            os._exit(1)

    listener = TrainListener(
        on_message=lambda text: tell(MESSAGE, text),
        on_reading=check_parent,
        on_step=check_parent,
        on_epoch=lambda epoch: tell(MESSAGE, str(epoch)),
    )
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    with locked([fold.state], wait=_OTHER_ENDS_SECONDS, check=check_parent):
        use_machine(fold.settings.machine)
        train_split(fold.settings, task.labelled, fold.split, fold.state, listener)


if __name__ == "__main__":
    main()
