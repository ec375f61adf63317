"""Pictures of a training: they open, and show what they should."""

import io

import numpy as np
import pytest
from PIL import Image

from malscan.training.checkpoint import Epoch
from malscan.training.plots import SAMPLES, history_png, samples_png

TRAIN, VALIDATION = (0, 0x72, 0xB2), (0xD5, 0x5E, 0)


def opened(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def pixels_like(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    distance = np.abs(picture.astype(int) - np.array(colour)).max(axis=-1)
    return int((distance < 8).sum())


@pytest.mark.parametrize("epochs", [1, 2, 60])
def test_the_curves_of_both_parts_stand_in_both_panels(epochs: int) -> None:
    history = [Epoch(i, 1 / i, 1 - 0.5 / i, 1.5 / i, 0.9 - 0.5 / i) for i in range(1, epochs + 1)]
    picture = opened(history_png(history, kept=epochs))
    half = len(picture) // 2
    for panel in (picture[:half], picture[half:]):
        assert pixels_like(panel, TRAIN) > 3
        assert pixels_like(panel, VALIDATION) > 3


def test_the_same_history_gives_the_same_bytes() -> None:
    history = [Epoch(1, 0.5, 0.7, 0.6, 0.65)]
    assert history_png(history, 1) == history_png(history, 1)


@pytest.mark.parametrize("number", [1, SAMPLES])
def test_the_samples_stand_in_a_row_for_each_class(number: int) -> None:
    red, blue = (np.full([number, 8, 8, 3], c, np.uint8) for c in ((200, 30, 40), (20, 40, 220)))
    picture = opened(samples_png({"parasitized": red, "uninfected": blue}))
    half = len(picture) // 2
    assert pixels_like(picture[:half], (200, 30, 40)) > 3000 * number
    assert pixels_like(picture[half:], (20, 40, 220)) > 3000 * number
    assert pixels_like(picture[:half], (20, 40, 220)) == 0
