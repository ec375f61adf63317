"""What the model says of one image."""

from dataclasses import dataclass

from malscan.doubt import Band, in_band
from malscan.labels import PARASITIZED, UNCERTAIN, UNINFECTED
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
        unsettled: whether the image failed only because it was left for a later run.
        pixel_hash: of its pixels, where it was asked for (see `malscan.pipeline.Loaded`).
        unlike: how unlike the cells of the training it is, 0..1 (see `malscan.unlike`); None if
            the image failed or the model does not know those cells.
    """

    image: CellImage
    probability: float | None
    error: str | None
    grey: bool = False
    unsettled: bool = False
    pixel_hash: int | None = None
    unlike: float | None = None

    def call(self, threshold: float, uncertain: Band | None = None) -> str | None:
        """What the cell is called: a class, or `uncertain`; None if the image failed.

        Args:
            threshold: probability from which the cell is parasitized.
            uncertain: the doubt band, if there is one.
        """
        if self.probability is None:
            return None
        if in_band(self.probability, uncertain):
            return UNCERTAIN
        return PARASITIZED if self.probability >= threshold else UNINFECTED
