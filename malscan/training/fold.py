"""One fold of a cross-validation; light, so that a worker need not load TensorFlow for it."""

from dataclasses import dataclass
from pathlib import Path

from malscan.split import Split
from malscan.training.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold, to be trained.

    Attributes:
        number: counted from 1.
        settings: what to train and where to write the model of this fold.
        split: its parts.
        state: existing folder for what a killed training of this fold needs to go on.
    """

    number: int
    settings: TrainSettings
    split: Split
    state: Path
