"""Train: labelled cells in, a model folder out."""

from malscan.dataset import LabelledCells, labelled_cells
from malscan.errors import UsageError
from malscan.training.listener import TrainListener
from malscan.training.one_model import TrainResult, train_split
from malscan.training.parts import make_split
from malscan.training.settings import TrainSettings
from malscan.training.workplace import workplace

__all__ = ["TrainListener", "TrainResult", "read_labelled", "train"]


def train(settings: TrainSettings, listener: TrainListener = TrainListener()) -> TrainResult:
    """Train a network on labelled cells and write a model folder, whole or not at all.

    A training that was killed goes on after its last finished epoch when it is called again
    with the same settings, data and versions.

    Args:
        settings: what to train, on what, and where to; without folds.
        listener: whom to tell how it goes.

    Raises:
        UsageError: no such data, or a number of folds.
        LockedError: another training writes the same model.
        MalscanError: data that cannot be trained on, an existing model without `force`,
            a loss that is not a number, a folder that cannot be written.
    """
    if settings.split.folds:
        raise UsageError("folds are trained by malscan.cross_validate.cross_validate")
    with workplace(settings) as state:
        labelled = read_labelled(settings, listener)
        split = make_split(settings.split, settings.recipe.seed, labelled)
        return train_split(settings, labelled, split, state, listener)


def read_labelled(settings: TrainSettings, listener: TrainListener) -> LabelledCells:
    """The labelled cells, after telling what was left out of them."""
    labelled = labelled_cells(settings.data)
    for note in labelled.notes:
        listener.on_message(note)
    return labelled
