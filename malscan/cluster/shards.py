"""Cuts images into shards and puts what comes back in order, whatever becomes of workers."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

from malscan.prediction import Prediction
from malscan.walk import CellImage

KILLS = "every process that read it was killed"
"""Error of an image that takes its worker with it, alone and again."""

PARTS = 8
"""Parts that a piece is cut into which kills workers: fewer would cost more workers."""


class Piece:
    """A shard, or a part of one.

    Attributes:
        images: consecutive images.
        predictions: what is said of them; None as long as that is not known.
    """

    __slots__ = ("images", "predictions")

    def __init__(self, images: list[CellImage]) -> None:
        self.images = images
        self.predictions: list[Prediction] | None = None


class Workers(Protocol):
    """Whoever computes pieces."""

    @property
    def most(self) -> int:
        """Number of pieces that it makes sense to have under way, or waiting for others."""

    @property
    def busy(self) -> int:
        """Number of pieces under way."""

    def send(self, piece: Piece, *, urgent: bool) -> None:
        """Let a piece be computed."""

    def returned(self, *, wait: bool) -> list[tuple[Piece, list[Prediction] | None]]:
        """Pieces that came back, with None for one that has killed several workers.

        Args:
            wait: if there is none, wait a little for one.
        """


class Shards:
    """Computes images by shards.

    A piece that has killed several workers is cut in parts, again and again, down to single
    images. What killed them may have been another piece on the same worker, so such an image is
    tried once more while nothing else is under way; that is the proof.
    """

    def __init__(self, workers: Workers, size: int) -> None:
        """Prepare.

        Args:
            workers: whoever computes.
            size: images to a shard.
        """
        self._workers = workers
        self._size = size
        self._line: deque[Piece] = deque()
        self._suspects: deque[Piece] = deque()
        self._alone: Piece | None = None

    def predict(self, images: Iterator[CellImage | None]) -> Iterator[list[Prediction]]:
        """Predict images in their order; None among them ends a shard early."""
        shards = _cut(images, self._size)
        more = True
        while more or self._line:
            room = more and not self._suspects and len(self._line) < self._workers.most
            if room:
                more = self._begin(next(shards, None))
            elif self._suspects and not self._workers.busy:
                self._alone = self._suspects.popleft()
                self._workers.send(self._alone, urgent=True)
            for piece, predictions in self._workers.returned(wait=not room):
                self._take(piece, predictions)
            yield from self._ready()

    def _begin(self, images: list[CellImage] | None) -> bool:
        """Send a shard; False if there is none."""
        if images is None:
            return False
        piece = Piece(images)
        self._line.append(piece)
        if images:
            self._workers.send(piece, urgent=False)
        else:
            piece.predictions = []
        return True

    def _take(self, piece: Piece, predictions: list[Prediction] | None) -> None:
        """Note what became of a piece."""
        if predictions is not None:
            piece.predictions = predictions
        elif len(piece.images) > 1:
            self._cut_up(piece)
        elif piece is self._alone:
            piece.predictions = [Prediction(piece.images[0], None, KILLS)]
        else:
            self._suspects.append(piece)

    def _cut_up(self, piece: Piece) -> None:
        size = -(-len(piece.images) // PARTS)
        parts = [Piece(images) for images in _cut(piece.images, size)]
        place = self._line.index(piece)
        del self._line[place]
        for part in reversed(parts):
            self._line.insert(place, part)
        for part in parts:
            self._workers.send(part, urgent=True)

    def _ready(self) -> Iterator[list[Prediction]]:
        while self._line and (predictions := self._line[0].predictions) is not None:
            self._line.popleft()
            yield predictions


def _cut(images: Iterable[CellImage | None], size: int) -> Iterator[list[CellImage]]:
    """Lists of consecutive images; None among them ends a list early, even an empty one."""
    shard: list[CellImage] = []
    for image in images:
        if image is not None:
            shard.append(image)
        if image is None or len(shard) == size:
            yield shard
            shard = []
    if shard:
        yield shard
