"""The folds of a cross-validation, side by side on a cluster."""

import queue
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from malscan.cluster.connect import prepare
from malscan.cluster.fold_work import TOKEN, FoldTask, train_on_worker
from malscan.cluster.pool import Killed, Patience, Pool, opened_pool
from malscan.cluster.same import packed
from malscan.cluster.settings import ClusterSettings
from malscan.dataset import LabelledCells
from malscan.errors import MalscanError
from malscan.model import METADATA
from malscan.settings import is_embedded
from malscan.training.fold import Fold
from malscan.training.listener import TrainListener
from malscan.training.workplace import drop_caches
from malscan.versions import versions

KEPT = "What is finished is kept: the same command goes on from there."

_SIGHT_SECONDS = 30.0
"""How long a network drive may take to show here what was written there."""


def train_folds(
    folds: list[Fold], labelled: LabelledCells, cluster: ClusterSettings, listener: TrainListener
) -> None:
    """Train folds, one at a time on each worker; each leaves its model folder.

    Args:
        folds: what to train; their folders are on a drive that the workers see, too.
        labelled: the cells, by absolute paths.
        cluster: where to train.
        listener: gets the messages of all folds; asked often whether to stop.

    Raises:
        MalscanError: a fold that cannot be trained, folders that workers do not see, or no
            scheduler or worker; finished folds are kept.
    """
    prepare(cluster)
    said: queue.SimpleQueue[str] = queue.SimpleQueue()

    def check() -> None:
        listener.on_step(0)
        while not said.empty():
            listener.on_message(said.get())

    patience = Patience(check, left_behind=lambda: KEPT, say=listener.on_message)
    with opened_pool(cluster, patience) as pool:
        topic = f"malscan-{uuid4().hex}"
        pool.listen(topic, said.put)
        waiting = deque(folds)
        while waiting or pool.under_way:
            while waiting and pool.under_way < pool.workers:
                _send(pool, waiting.popleft(), labelled, topic)
            for fold, result in pool.finished(wait=True):
                check()
                _accept(fold, result)


def _send(pool: Pool[Fold], fold: Fold, labelled: LabelledCells, topic: str) -> None:
    token = uuid4().hex
    (fold.state / TOKEN).write_text(token)
    task = FoldTask(_by_absolute_paths(fold), labelled, token, topic)
    pool.submit(fold, train_on_worker, versions(), packed(task))


def _by_absolute_paths(fold: Fold) -> Fold:
    settings, here = fold.settings, Path.cwd()

    def absolute(model: Path) -> Path:
        return model if is_embedded(model) else here / model

    events = settings.tensorboard
    return replace(
        fold,
        settings=replace(
            settings,
            start_from=settings.start_from and absolute(settings.start_from),
            teachers=tuple(absolute(teacher) for teacher in settings.teachers),
            tensorboard=events and here / events,
            # The worker is on the cluster already.
            cluster=None,
        ),
    )


def _accept(fold: Fold, host: str | Killed) -> None:
    """Make sure that a finished fold is where it should be."""
    if isinstance(host, Killed):
        raise MalscanError(
            f"fold {fold.number}: several workers were killed while they trained it, perhaps for "
            f"want of memory (--cache disk needs less). {KEPT}"
        )
    model = fold.settings.out / METADATA
    until = time.monotonic() + _SIGHT_SECONDS
    while not model.is_file():
        if time.monotonic() > until:
            raise MalscanError(
                f"fold {fold.number}: {host} has written {model.parent}, but it is not to be seen "
                "here. Name an --out on a drive that the workers share."
            )
        time.sleep(0.2)
    drop_caches(fold.state)
