"""Puts what is known of images and what is computed together, in the order of the walk."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

from malscan.prediction import Prediction
from malscan.scanning.journal import Entry
from malscan.scanning.version import Version
from malscan.walk import CellImage

LONGEST_RUN = 2000
"""Images known in a row after which a batch is ended early: they wait in memory for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An image dealt with.

    Attributes:
        prediction: what is said of it.
        entry: what to remember of it; None if nothing, or if that is remembered already.
        reused: whether an earlier run has computed it.
    """

    prediction: Prediction
    entry: Entry | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """An image to compute: the key and version it is to be remembered by, if it can be."""

    path: bytes
    version: Version | None


Decide = Callable[[CellImage], Outcome | Pending]
Predict = Callable[[Iterator[CellImage | None]], Iterator[list[Prediction]]]


def outcomes(
    images: Iterable[CellImage], decide: Decide, predict: Predict
) -> Generator[list[Outcome], None, None]:
    """Deal with images in their order, computing only those that are not known.

    Args:
        images: may be lazy; drawn from the thread that `predict` draws its images from.
        decide: tells what is known of an image.
        predict: computes images in their order; None among them ends a batch early. Not called
            if everything is known.

    Yields:
        Outcomes of consecutive images, all of them together those of the images that went in.
        Some are empty: they only tell that something goes on.
    """
    line = _Line(images, decide)
    yield from line.known()
    if line.first is None:
        return
    for predictions in predict(line.pending()):
        yield line.with_computed(predictions)
    yield line.with_computed([])


class _Line:
    """Images in their order, some known, some being computed."""

    def __init__(self, images: Iterable[CellImage], decide: Decide) -> None:
        self._images = iter(images)
        self._decide = decide
        self._waiting: deque[Outcome | Pending] = deque()
        self.first: CellImage | None = None

    def known(self) -> Iterator[list[Outcome]]:
        """Outcomes until the first image that has to be computed, which becomes `first`."""
        some: list[Outcome] = []
        for image in self._images:
            decision = self._decide(image)
            if isinstance(decision, Pending):
                self.first = image
                self._waiting.append(decision)
                break
            some.append(decision)
            if len(some) == LONGEST_RUN:
                yield some
                some = []
        yield some

    def pending(self) -> Iterator[CellImage | None]:
        """The images to compute; None where the known ones between have become many."""
        assert self.first is not None
        yield self.first
        in_a_row = 0
        for image in self._images:
            decision = self._decide(image)
            self._waiting.append(decision)
            if isinstance(decision, Pending):
                in_a_row = 0
                yield image
                continue
            in_a_row += 1
            if in_a_row == LONGEST_RUN:
                in_a_row = 0
                yield None

    def with_computed(self, predictions: Iterable[Prediction]) -> list[Outcome]:
        """The outcomes up to the next image that is still being computed."""
        computed = iter(predictions)
        found: list[Outcome] = []
        while self._waiting:
            waiting = self._waiting[0]
            if isinstance(waiting, Pending):
                prediction = next(computed, None)
                if prediction is None:
                    break
                waiting = _computed(prediction, waiting)
            found.append(waiting)
            self._waiting.popleft()
        return found


def _computed(prediction: Prediction, pending: Pending) -> Outcome:
    version = pending.version
    if version is None or prediction.probability is None:
        return Outcome(prediction)
    known = (version.size, version.modified, version.content)
    found = (prediction.probability, prediction.unlike, prediction.grey)
    entry = Entry(pending.path, *known, *found)
    return Outcome(prediction, entry)
