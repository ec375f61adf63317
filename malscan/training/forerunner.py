"""A model that a training builds on: to start from, or as a teacher."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from malscan.errors import MalscanError
from malscan.model import Model, find_model, load_model, load_seen_images
from malscan.seen import PARTS_SEEN, SeenImages
from malscan.training.cells import Cells
from malscan.training.parts import Parts


@dataclass(frozen=True, slots=True)
class Forerunner:
    """A model that was there before.

    Attributes:
        model: the model.
        seen: images that it was trained and validated on; None if it does not say.
    """

    model: Model
    seen: SeenImages | None

    def knows_too_much_of(self, parts: Parts) -> Iterator[tuple[str, int]]:
        """Parts that a new model is judged by, each with the number of cells known already.

        What both choose their epoch by, neither learns from: of validation only cells count that
        this one was trained on.
        """
        for part, theirs in (("validation", ("train",)), ("test", PARTS_SEEN)):
            if count := self._seen_among(parts.by_name()[part], theirs):
                yield part, count

    def _seen_among(self, cells: Cells, parts: Collection[str]) -> int:
        """How many of some cells it has seen, by their pixels, in some of its parts."""
        if self.seen is None:
            return 0
        chosen = np.isin(self.seen.parts, [PARTS_SEEN.index(part) for part in parts])
        return int(np.isin(cells.hashes, self.seen.hashes[chosen]).sum())


def load_forerunner(place: Path) -> Forerunner:
    """Load a model and what it has seen.

    Args:
        place: model folder, or `embedded`.

    Raises:
        MalscanError: there is no valid model.
    """
    folder = find_model(place)
    model = load_model(folder)
    return Forerunner(model, load_seen_images(folder, model))


def check_start(start: Forerunner, parts: Parts) -> None:
    """Make sure that a model to start from knows no cell that the new one is judged by.

    Raises:
        MalscanError: it has seen cells of the test part, or learnt from cells of validation.
    """
    for part, count in start.knows_too_much_of(parts):
        if part == "validation":
            raise MalscanError(
                f"--from {start.model.name} was trained on {count} cells of the validation part, "
                "by which epoch and temperature are chosen. Keep the split that it had "
                "(--split-file), or start from the model that it was made from."
            )
        raise MalscanError(
            f"--from {start.model.name} has seen {count} cells of the test part, which would make "
            "the figures too good. Keep the test patients that it had (--test-patients; its model "
            "card names them), or measure on none (--test-share 0)."
        )


def all_seen(seen: SeenImages, forerunners: Sequence[Forerunner]) -> SeenImages | None:
    """What a model has seen, with what those before it had; None if one of them does not say."""
    for known in forerunners:
        if known.seen is None:
            return None
        seen = seen.with_those_of(known.model.name, known.seen)
    return seen
