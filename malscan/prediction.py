"""What the model says of one image."""

from dataclasses import dataclass

from malscan.labels import PARASITIZED, UNINFECTED
from malscan.walk import CellImage

DECIMALS = 6
"""Decimals of a probability. It is rounded before it is compared with the threshold, so that
every call can be checked from the report."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        image: the image.
        probability: calibrated probability of `parasitized`, 0..1, rounded to `DECIMALS`;
            None if the image failed.
        error: why the image failed; None if it did not.
        grey: whether the file holds no colour, which the model was not trained for.
        pixel_hash: of its pixels, where it was asked for (see `malscan.pipeline.Loaded`).
        unlike: how unlike the cells of the training it is, 0..1 (see `malscan.unlike`); None if
            the image failed or the model does not know those cells.
    """

    image: CellImage
    probability: float | None
    error: str | None
    grey: bool = False
    pixel_hash: int | None = None
    unlike: float | None = None

    def call(self, threshold: float) -> str | None:
        """Class that the cell is called at a threshold; None if the image failed."""
        if self.probability is None:
            return None
        return PARASITIZED if self.probability >= threshold else UNINFECTED
