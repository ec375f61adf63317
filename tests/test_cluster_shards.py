"""Shards: order, bounds, and the image that kills whoever reads it."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from malscan.cluster.shards import KILLS, PARTS, Piece, Shards
from malscan.prediction import Prediction
from malscan.walk import CellImage


class FakeWorkers:
    """Finish in any order; an image that kills takes all that its worker has with it."""

    def __init__(self, guilty: set[str], most: int, seed: int, beside: bool = True) -> None:
        self.most = most
        self._beside = beside
        self.sent: list[int] = []
        self.most_under_way = 0
        self._guilty = guilty
        self._under_way: list[Piece] = []
        self._rng = np.random.default_rng(seed)

    @property
    def busy(self) -> int:
        return len(self._under_way)

    def send(self, piece: Piece, *, urgent: bool) -> None:
        assert piece.images
        self.sent.append(len(piece.images))
        self._under_way.append(piece)
        self.most_under_way = max(self.most_under_way, len(self._under_way))

    def returned(self, *, wait: bool) -> list[tuple[Piece, list[Prediction] | None]]:
        if not self._under_way or not (wait or self._rng.random() < 0.5):
            return []
        piece = self._under_way.pop(int(self._rng.integers(len(self._under_way))))
        if not any(image.path in self._guilty for image in piece.images):
            return [(piece, [Prediction(image, 0.5, None) for image in piece.images])]
        count = int(self._rng.integers(len(self._under_way) + 1)) if self._beside else 0
        beside, self._under_way = self._under_way[:count], self._under_way[count:]
        return [(dead, None) for dead in (piece, *beside)]


def images(count: int, flushes: set[int]) -> Iterator[CellImage | None]:
    for number in range(count):
        if number in flushes:
            yield None
        yield CellImage(str(number), "s")


def predicted(
    workers: FakeWorkers, size: int, given: Iterator[CellImage | None]
) -> list[Prediction]:
    return [prediction for some in Shards(workers, size).predict(given) for prediction in some]


@settings(max_examples=150)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 20),
    most=st.integers(1, 6),
    guilty=st.sets(st.integers(0, 59), max_size=4),
    flushes=st.sets(st.integers(0, 59), max_size=5),
    seed=st.integers(0, 1000),
)
def test_every_image_comes_back_in_order_and_only_the_guilty_fail(
    count: int, size: int, most: int, guilty: set[int], flushes: set[int], seed: int
) -> None:
    workers = FakeWorkers({str(number) for number in guilty}, most, seed)

    found = predicted(workers, size, images(count, flushes))

    assert [prediction.image.path for prediction in found] == [str(n) for n in range(count)]
    failed = {int(prediction.image.path) for prediction in found if prediction.error == KILLS}
    assert failed == {number for number in guilty if number < count}


def test_shards_are_full_and_few_are_under_way() -> None:
    workers = FakeWorkers(set(), most=3, seed=1)

    predicted(workers, 10, images(45, {25}))

    assert sorted(workers.sent) == [5, 10, 10, 10, 10]
    assert workers.most_under_way <= 3


def test_the_search_for_the_guilty_costs_few_workers() -> None:
    workers = FakeWorkers({"1234"}, most=1, seed=1, beside=False)

    predicted(workers, 2048, images(2048, set()))

    # 2048, 256, 32, 4 and 1 images, and once more alone.
    assert len(workers.sent) == 1 + 3 * PARTS + 4 + 1
    assert workers.sent.count(1) == 5


def test_no_shard_is_drawn_before_there_is_room() -> None:
    workers = FakeWorkers(set(), most=2, seed=1)
    drawn = 0

    def counted() -> Iterator[CellImage | None]:
        nonlocal drawn
        for image in images(100, set()):
            drawn += 1
            yield image

    next(Shards(workers, 10).predict(counted()))

    assert drawn <= 30


def test_known_images_between_shards_are_not_held_up() -> None:
    workers = FakeWorkers(set(), most=4, seed=1)
    flushes: Iterator[CellImage | None] = iter([None, None, CellImage("a", "s"), None])

    found = list(Shards(workers, 10).predict(flushes))

    assert [len(some) for some in found] == [0, 0, 1]
