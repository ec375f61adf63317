"""A GIF that lacks part of its picture is never decoded."""

import numpy as np
import pytest
from damaged.whole import encoded
from draw_cells import draw_cell
from PIL import Image

from malscan.decode import decode
from malscan.gif import fault_of_gif
from malscan.picture import UnreadableImageError

CELL = draw_cell(np.random.default_rng(1), True, size=60)
WHOLE = encoded(CELL, "GIF", comment=b"stained")
FRAME = WHOLE.index(b",\0\0\0\0")
DATA = FRAME + 10 + (3 << (WHOLE[FRAME + 9] & 7) + 1 if WHOLE[FRAME + 9] & 0x80 else 0) + 1
"""Where the compressed picture begins."""


@pytest.mark.parametrize("image", [CELL, Image.effect_noise((300, 200), 90), CELL.convert("1")])
@pytest.mark.parametrize("interlace", [0, 1])
def test_a_whole_one_has_no_fault(image: Image.Image, interlace: int) -> None:
    assert fault_of_gif(encoded(image, "GIF", interlace=interlace)) is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.98])
def test_data_that_end_early_but_are_closed_are_refused(share: float) -> None:
    blocks = WHOLE[DATA:-2]
    held = b""
    while blocks:
        held, blocks = held + blocks[1 : 1 + blocks[0]], blocks[1 + blocks[0] :]
    kept = held[: int(share * len(held))]
    parts = [kept[place : place + 255] for place in range(0, len(kept), 255)]
    data = WHOLE[:DATA] + b"".join(bytes([len(part)]) + part for part in parts) + b"\0;"
    with pytest.raises(UnreadableImageError, match=r"truncated|damaged"):
        decode(data)
    assert fault_of_gif(data) is not None


@pytest.mark.parametrize(
    ("place", "byte"), [(FRAME, 0x2D), (FRAME + 5, 0), (DATA - 1, 0), (DATA - 1, 200)]
)
def test_a_garbled_block_is_refused(place: int, byte: int) -> None:
    data = WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :]
    assert fault_of_gif(data) is not None
    with pytest.raises(UnreadableImageError):
        decode(data)
