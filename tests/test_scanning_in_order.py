"""Known and computed images come out together in the order of the walk."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malscan.prediction import Prediction
from malscan.scanning.in_order import LONGEST_RUN, Outcome, Pending, outcomes
from malscan.scanning.version import Version
from malscan.walk import CellImage

VERSION = Version(10, 20, None, 1e6)


def images(count: int) -> Iterator[CellImage]:
    return (CellImage(f"{i}.png", "s") for i in range(count))


def paths(found: Iterable[list[Outcome]]) -> list[str]:
    return [outcome.prediction.image.path for some in found for outcome in some]


class Decisions:
    """Knows all images but some."""

    def __init__(self, unknown: Iterable[int]) -> None:
        self.unknown = {f"{i}.png" for i in unknown}

    def __call__(self, image: CellImage) -> Outcome | Pending:
        if image.path in self.unknown:
            return Pending(image.path.encode(), VERSION)
        return Outcome(Prediction(image, 0.25, None), reused=True)


def computing(size: int, ahead: int = 0) -> "Computing":
    return Computing(size, ahead)


class Computing:
    """Predicts batch by batch, drawing some batches ahead, as the real one does."""

    def __init__(self, size: int, ahead: int) -> None:
        self.size = size
        self.ahead = ahead
        self.calls = 0
        self.computed: list[str] = []

    def __call__(self, wanted: Iterator[CellImage | None]) -> Iterator[list[Prediction]]:
        self.calls += 1
        ready: list[list[Prediction]] = []
        batch: list[Prediction] = []
        for image in wanted:
            if image is not None:
                self.computed.append(image.path)
                batch.append(Prediction(image, 0.75, None))
            if image is None or len(batch) == self.size:
                ready.append(batch)
                batch = []
            if len(ready) > self.ahead:
                yield ready.pop(0)
        yield from ready
        if batch:
            yield batch


@given(
    st.integers(0, 60),
    st.sets(st.integers(0, 59)),
    st.integers(1, 7),
    st.integers(0, 3),
)
def test_every_image_comes_out_once_and_in_order(
    count: int, unknown: set[int], size: int, ahead: int
) -> None:
    predict = computing(size, ahead)

    found = list(outcomes(images(count), Decisions(unknown), predict))

    assert paths(found) == [f"{i}.png" for i in range(count)]
    assert predict.computed == [f"{i}.png" for i in range(count) if i in unknown]
    for outcome in (outcome for some in found for outcome in some):
        computed = outcome.prediction.image.path in predict.computed
        assert outcome.reused is not computed
        assert outcome.prediction.probability == (0.75 if computed else 0.25)


def test_nothing_is_computed_where_everything_is_known() -> None:
    predict = computing(4)

    assert len(paths(outcomes(images(5000), Decisions([]), predict))) == 5000
    assert predict.calls == 0


@pytest.mark.parametrize("unknown", [[0], [0, 10 * LONGEST_RUN + 1]])
def test_known_images_do_not_pile_up_behind_one_that_is_computed(unknown: list[int]) -> None:
    drawn = 0
    given_out = 0
    waiting = []

    def counted() -> Iterator[CellImage]:
        nonlocal drawn
        for image in images(20 * LONGEST_RUN):
            drawn += 1
            yield image

    for some in outcomes(counted(), Decisions(unknown), computing(256, ahead=2)):
        given_out += len(some)
        waiting.append(drawn - given_out)

    assert given_out == 20 * LONGEST_RUN
    assert max(waiting) <= 4 * LONGEST_RUN


def test_what_was_computed_is_to_be_remembered_and_a_failure_is_not() -> None:
    def predict(wanted: Iterator[CellImage | None]) -> Iterator[list[Prediction]]:
        for number, image in enumerate(wanted):
            assert image is not None
            failed = number == 1
            yield [Prediction(image, None if failed else 0.5, "damaged" if failed else None)]

    found = [o for some in outcomes(images(2), Decisions([0, 1]), predict) for o in some]

    assert found[0].entry is not None
    assert (found[0].entry.path, found[0].entry.size, found[0].entry.probability) == (
        b"0.png",
        10,
        0.5,
    )
    assert found[1].entry is None


def test_a_fault_of_the_walk_is_not_hidden() -> None:
    def broken() -> Iterator[CellImage]:
        yield from images(3)
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        list(outcomes(broken(), Decisions([]), computing(2)))
