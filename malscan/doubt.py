"""The doubt band: probabilities that call a cell neither parasitized nor uninfected."""

from malscan.errors import UsageError

Band = tuple[float, float]
"""Probabilities `low` and `high`: from `low` on, and below `high`, a cell is uncertain."""


def check_band(name: str, band: Band) -> None:
    """Make sure that a band that was asked for makes sense; equal bounds are no band.

    Raises:
        UsageError: it does not lie within 0..1, or its bounds are the wrong way round.
    """
    if not is_band(band):
        raise UsageError(
            f"{name} {band[0]:g} {band[1]:g} is no band of probabilities. Give two numbers from 0 "
            "to 1, the lower one first."
        )


def is_band(band: Band) -> bool:
    """Whether two numbers are probabilities, the lower one first."""
    return 0 <= band[0] <= band[1] <= 1


def in_band(probability: float, band: Band | None) -> bool:
    """Whether a probability is in doubt."""
    return band is not None and band[0] <= probability < band[1]


def band_to_use(
    stated: Band | None, recommended: Band | None, threshold: float
) -> tuple[Band | None, str | None]:
    """The band that a scan goes by: as stated, else as the model recommends.

    The model recommends a band around its own threshold; around another one it would call cells
    uncertain that are clear, and clear that are uncertain.

    Args:
        stated: `--uncertain`, if given; with equal bounds it asks for no band.
        recommended: the model's own, if it has one.
        threshold: probability from which a cell is called parasitized.

    Returns:
        The band, if any, and what the user must be told about it, if anything.
    """
    band = recommended if stated is None else stated
    if band is None or band[0] == band[1]:
        return None, None
    low, high = band
    if low <= threshold <= high:
        return band, None
    if stated is None:
        return None, (
            f"the model's doubt band {low:g} to {high:g} does not hold the threshold "
            f"{threshold:g}, so no cell is called uncertain. --uncertain gives another band."
        )
    return band, f"--uncertain {low:g} {high:g} does not hold the threshold {threshold:g}"
