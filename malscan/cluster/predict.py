"""The part of a scan that computes, on a cluster."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from malscan.cluster.connect import prepare
from malscan.cluster.pool import Killed, Patience, Pool, opened_pool
from malscan.cluster.same import packed
from malscan.cluster.settings import ClusterSettings
from malscan.cluster.shards import Piece, Shards
from malscan.cluster.work import Computed, Shard, compute, packed_model, why_not_opened
from malscan.current_folder import current_folder
from malscan.errors import MalscanError
from malscan.model import Model
from malscan.prediction import Prediction
from malscan.report.row import written
from malscan.settings import ScanSettings
from malscan.versions import versions
from malscan.walk import CellImage

SHARDS_TO_A_WORKER = 4
"""One is computed, one waits beside it; the others make up for workers that are slower."""
MOST_SHARDS = 1000
"""Shards that the scheduler ever hears of at once, and that wait in the client's memory."""


def predict_on_cluster(
    model: Model, settings: ScanSettings, cluster: ClusterSettings, patience: Patience
) -> Callable[[Iterator[CellImage | None]], Iterator[list[Prediction]]]:
    """The function that predicts images in their order, on a cluster; None ends a shard early.

    Args:
        model: computes.
        settings: of the scan.
        cluster: where to compute.
        patience: how to wait.
    """
    prepare(cluster)

    def predict(images: Iterator[CellImage | None]) -> Iterator[list[Prediction]]:
        # Whole batches: the last one of a shard is as dear as a full one.
        size = -(-cluster.shard_size // settings.batch_size) * settings.batch_size
        with opened_pool(cluster, patience) as pool:
            workers = _Workers(pool, model, settings, patience)
            yield from Shards(workers, size).predict(images)

    return predict


class _Workers:
    """Computes pieces on the workers of a pool."""

    def __init__(
        self, pool: Pool[Piece], model: Model, settings: ScanSettings, patience: Patience
    ) -> None:
        self._pool = pool
        self._patience = patience
        self._settings = settings
        self._folder = current_folder()
        self._versions = versions()
        computing = settings.computing
        self._computing = replace(computing, precision=computing.inference)
        content, self._digest = packed_model(model)
        self._model = pool.share(content)

    @property
    def most(self) -> int:
        return min(SHARDS_TO_A_WORKER * self._pool.workers, MOST_SHARDS)

    @property
    def busy(self) -> int:
        return self._pool.under_way

    def send(self, piece: Piece, *, urgent: bool) -> None:
        images = [(self._absolute(image.path), image.error) for image in piece.images]
        batch_size, any_size = self._settings.batch_size, self._settings.any_size
        shard = packed(Shard(images, batch_size, any_size, self._computing))
        args = (self._versions, self._model, self._digest, shard)
        self._pool.submit(piece, compute, *args, urgent=urgent)

    def _absolute(self, path: str) -> bytes:
        raw = os.fsencode(path)
        return raw if raw.startswith(b"/") else self._folder + b"/" + raw

    def returned(self, *, wait: bool) -> list[tuple[Piece, list[Prediction] | None]]:
        return [
            (piece, None if result is Killed.KILLED else self._predictions(result, piece.images))
            for piece, result in self._pool.finished(wait=wait)
        ]

    def _predictions(self, computed: Computed, images: list[CellImage]) -> list[Prediction]:
        """The predictions of a shard, if the worker sees what this machine sees."""
        for place, reason in computed.unseen.items():
            path = images[place].path
            if why_not_opened(path) is None:
                raise MalscanError(
                    f"the worker on {computed.host} cannot open {written(path)} ({reason}), but "
                    "this machine can. Workers need the images under the same path, as on a "
                    f"shared drive. {self._patience.left_behind()}"
                )
        return computed.predictions(images)
