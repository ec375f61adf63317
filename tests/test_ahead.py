"""What is decoded in Python comes out as if it had been decoded one by one."""

from pathlib import Path

import numpy as np
import pytest
from draw_cells import draw_cell

from malscan.decode import decode
from malscan.kernel import Kernel
from malscan.pipeline import Batch, batches
from malscan.preprocess import Preprocessing
from malscan.walk import CellImage

PREPROCESSING = Preprocessing(24, Kernel.BILINEAR, 1 / 255)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> list[CellImage]:
    """Seventy cells in several formats, under wrong names too, some of them damaged."""
    folder = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(3)
    cells = [draw_cell(rng, number % 2 == 0, size=40) for number in range(7)]
    kinds = [("png", "PNG"), ("jpg", "JPEG"), ("tif", "TIFF"), ("jpg", "PNG"), ("png", "JPEG")]
    images = []
    for number in range(70):
        suffix, kind = kinds[number % 5]
        path = folder / f"{number:02}.{suffix}"
        cells[number % 7].save(path, kind)
        if number % 9 == 8:
            path.write_bytes(path.read_bytes()[:-30])
        images.append(CellImage(str(path), "mixed"))
    return [*images, CellImage(str(folder / "gone.jpg"), "mixed")]


def loaded(images: list[CellImage]) -> list[Batch]:
    return list(batches(images, PREPROCESSING, batch_size=50))


def outcomes(found: list[Batch]) -> list[tuple[str, str | None, bytes]]:
    rows = []
    for batch in found:
        for item in batch.items:
            pixels = b"" if item.slot is None else np.asarray(batch.pixels)[item.slot].tobytes()
            rows.append((item.image.path, item.error, pixels))
    return rows


def test_formats_under_any_name_come_out_with_their_faults(mixed: list[CellImage]) -> None:
    rows = outcomes(loaded(mixed))

    assert [path for path, _, _ in rows] == [image.path for image in mixed]
    failed = [Path(path).name for path, error, _ in rows if error]
    assert failed == [
        *(Path(mixed[number].path).name for number in range(8, 70, 9)),
        "gone.jpg",
    ]
    # The same cell, as PNG and as TIFF.
    assert rows[0][2] == rows[7][2] != b""


def test_a_group_that_would_hold_too_much_is_decoded_one_by_one(
    mixed: list[CellImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_groups = outcomes(loaded(mixed))
    decoded = []

    def counted(data: bytes, *, any_size: bool) -> object:
        decoded.append(len(data))
        return decode(data, any_size=any_size)

    monkeypatch.setattr("malscan.ahead.decode", counted)
    monkeypatch.setattr("malscan.ahead._MOST_BYTES", 1)

    assert outcomes(loaded(mixed)) == in_groups
    # One that can be decoded fills a group.
    assert len(decoded) < 12
