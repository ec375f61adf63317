"""Whom a training tells how it goes."""

from collections.abc import Callable
from dataclasses import dataclass

from malscan.networks import Layer
from malscan.training.checkpoint import Epoch


@dataclass(frozen=True, slots=True)
class TrainListener:
    """Calls that a training makes; an exception from one ends the training.

    Attributes:
        on_message: one line about what goes on.
        on_reading: number of images that were just read, and of all images to read.
        on_layers: the layer table of the network.
        on_start: number of training steps that are done already, and of all steps.
        on_step: called with 1 after each step.
        on_epoch: called after each epoch.
    """

    on_message: Callable[[str], object] = lambda text: None
    on_reading: Callable[[int, int], object] = lambda done, images: None
    on_layers: Callable[[list[Layer]], object] = lambda layers: None
    on_start: Callable[[int, int], object] = lambda done, steps: None
    on_step: Callable[[int], object] = lambda done: None
    on_epoch: Callable[[Epoch], object] = lambda epoch: None
