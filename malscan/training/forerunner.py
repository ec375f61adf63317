"""A model that a training builds on: to start from, or as a teacher."""

from dataclasses import dataclass
from pathlib import Path

from malscan.model import Model, find_model, load_model, load_seen_images
from malscan.seen import SeenImages


@dataclass(frozen=True, slots=True)
class Forerunner:
    """A model that was there before.

    Attributes:
        model: the model.
        seen: images that it was trained and validated on; None if it does not say.
    """

    model: Model
    seen: SeenImages | None


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
