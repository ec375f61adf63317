"""What is decoded in Python comes out as if it had been decoded one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from draw_cells import draw_cell
from numpy.typing import NDArray

from malscan import ahead
from malscan.ahead import Reader
from malscan.kernel import Kernel
from malscan.pipeline import Batch, batches
from malscan.plain_png import wrapped
from malscan.preprocess import Preprocessing
from malscan.walk import CellImage

SIZE = 24


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


def loaded(images: list[CellImage], kernel: Kernel = Kernel.BILINEAR) -> list[Batch]:
    return list(batches(images, Preprocessing(SIZE, kernel), batch_size=50, hashed=True))


def outcomes(found: list[Batch]) -> list[tuple[str, str | None, int | None, bytes]]:
    rows = []
    for batch in found:
        for item in batch.items:
            pixels = b"" if item.slot is None else np.asarray(batch.pixels)[item.slot].tobytes()
            rows.append((item.image.path, item.error, item.pixel_hash, pixels))
    return rows


def test_formats_under_any_name_come_out_with_their_faults(mixed: list[CellImage]) -> None:
    rows = outcomes(loaded(mixed))

    assert [path for path, *_ in rows] == [image.path for image in mixed]
    failed = [Path(path).name for path, error, *_ in rows if error]
    assert failed == [
        *(Path(mixed[number].path).name for number in range(8, 70, 9)),
        "gone.jpg",
    ]
    # The same cell, as PNG and as TIFF.
    assert rows[0][2:] == rows[7][2:] != (None, b"")


@pytest.mark.parametrize("kernel", Kernel)
def test_large_pictures_that_are_resized_at_once_come_out_the_same(
    kernel: Kernel, mixed: list[CellImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_graph = outcomes(loaded(mixed, kernel))
    monkeypatch.setattr("malscan.ahead.MAX_SIDE", 1)
    monkeypatch.setattr("malscan.plain_png.MAX_SIDE", 1)
    seen = []

    def counted(pixels: NDArray[np.uint8]) -> bytes:
        seen.append(pixels.shape)
        return wrapped(pixels)

    monkeypatch.setattr("malscan.ahead.wrapped", counted)
    assert outcomes(loaded(mixed, kernel)) == in_the_graph
    assert set(seen) == {(SIZE, SIZE, 3)}


def test_a_lack_of_memory_ends_the_reading_and_blames_no_image(
    mixed: list[CellImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: bytes) -> bytes:
        raise MemoryError

    monkeypatch.setattr("malscan.ahead._read", read)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        loaded(mixed)


@pytest.mark.parametrize("fault", [KeyError("x"), OSError(), ValueError("\udcff")])
@pytest.mark.parametrize("place", ["_read", "inflated", "wrapped"])
def test_what_nobody_foresaw_fails_one_image_and_no_other(
    place: str, fault: Exception, mixed: list[CellImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = outcomes(loaded(mixed))
    real, calls = getattr(ahead, place), []

    def third_time(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise fault
        return real(*given)

    monkeypatch.setattr(f"malscan.ahead.{place}", third_time)
    after = outcomes(loaded(mixed))
    (changed,) = [
        number for number, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]
    ]
    path, error, pixel_hash, pixels = after[changed]
    assert (path, pixel_hash, pixels) == (before[changed][0], None, b"")
    assert error == "damaged: the image data cannot be decoded"


def test_a_lack_of_memory_in_tensorflow_is_one(
    mixed: list[CellImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*args: Any, **options: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr("malscan.decode._decode", decoded)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        loaded(mixed)


def test_a_large_input_makes_small_groups() -> None:
    def group(size: int, batch_size: int) -> int:
        return Reader(Preprocessing(size, Kernel.AREA), False, False, batch_size).group

    assert [group(64, 256), group(64, 3), group(1024, 256), group(4096, 256)] == [32, 3, 2, 1]
