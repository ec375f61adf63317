"""Cells of a part: the same pixels from memory, from disk and from the files."""

import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from draw_cells import draw_labelled
from PIL import Image

from malscan.dataset import labelled_cells
from malscan.errors import MalscanError
from malscan.kernel import Kernel
from malscan.networks import COMPACT_PREPROCESSING
from malscan.preprocess import Preprocessing
from malscan.settings import DataSettings
from malscan.training.cells import Cells, StoredPixels, StreamedPixels, cache_for, load_cells
from malscan.training.settings import Cache
from malscan.walk import CellImage

SMALL = Preprocessing(12, Kernel.AREA)


@pytest.fixture
def images(tmp_path: Path) -> list[CellImage]:
    """Twenty drawn cells, of which the second and the last cannot be read."""
    draw_labelled(tmp_path / "data", patients=4, cells_per_class=10, seed=1, size=20)
    found = labelled_cells(DataSettings(tmp_path / "data")).cells
    Path(found[1].path).write_bytes(b"")
    Path(found[-1].path).write_bytes(Path(found[-1].path).read_bytes()[:60])
    return found


def pixels_of(cells: Cells, order: list[int], batch_size: int = 3) -> np.ndarray:
    return np.concatenate(list(cells.store.batches(np.array(order, np.int64), batch_size)))


def load(images: list[CellImage], tmp_path: Path, cache: Cache) -> Cells:
    return load_cells(images, SMALL, cache=cache, cache_file=tmp_path / "part.cache")


def test_every_cache_gives_the_same_pixels_in_any_order(
    images: list[CellImage], tmp_path: Path
) -> None:
    order = [5, 0, 17, 5, 3, 9, 16]
    memory, disk, streamed = (
        pixels_of(load(images, tmp_path, cache), order)
        for cache in (Cache.MEMORY, Cache.DISK, Cache.NONE)
    )
    assert memory.shape == (7, 12, 12, 3)
    assert memory.dtype == disk.dtype == streamed.dtype == np.uint8
    np.testing.assert_array_equal(memory, disk)
    np.testing.assert_array_equal(memory, streamed)
    assert (memory[0] == memory[3]).all()
    assert (memory[0] != memory[1]).any()


def test_a_cell_has_the_pixels_of_its_own_file(images: list[CellImage], tmp_path: Path) -> None:
    cells = load_cells(images, Preprocessing(12, Kernel.PILLOW_NEAREST))
    for place, record in enumerate(cells.images):
        with Image.open(record.path) as image:
            expected = np.asarray(image.resize((12, 12), Image.Resampling.NEAREST))
        np.testing.assert_array_equal(pixels_of(cells, [place])[0], expected)


def test_what_cannot_be_read_is_listed_and_left_out(
    images: list[CellImage], tmp_path: Path
) -> None:
    cells = load(images, tmp_path, Cache.MEMORY)
    assert [image for image, _ in cells.failed] == [images[1], images[-1]]
    assert cells.failed[0][1] == "the file is empty (0 bytes)"
    assert len(cells) == len(cells.classes) == len(cells.hashes) == 18
    assert cells.images == [*images[:1], *images[2:-1]]
    assert cells.positive.tolist() == [image.label == "parasitized" for image in cells.images]


def test_an_unknown_patient_is_written_as_none(images: list[CellImage]) -> None:
    known, unknown = images[0], CellImage(images[2].path, "s", None, "parasitized", None)
    assert load_cells([known, unknown], SMALL).patients == [known.patient, "None"]


def test_progress_counts_every_image(images: list[CellImage]) -> None:
    told: list[int] = []
    load_cells(images, SMALL, on_images=told.append)
    assert sum(told) == 20


@pytest.mark.parametrize("cache", [Cache.MEMORY, Cache.DISK, Cache.NONE])
def test_without_some_cells_the_others_keep_what_is_theirs(
    cache: Cache, images: list[CellImage], tmp_path: Path
) -> None:
    cells = load(images, tmp_path, cache)
    fewer = cells.without({0, 4, 17}).without({1})
    kept = [1, *range(3, 4), *range(5, 17)]
    assert fewer.images == [cells.images[i] for i in kept]
    assert fewer.hashes.tolist() == cells.hashes[kept].tolist()
    assert fewer.classes.tolist() == cells.classes[kept].tolist()
    order = [3, 0, len(fewer) - 1]
    np.testing.assert_array_equal(
        pixels_of(fewer, order), pixels_of(cells, [kept[i] for i in order])
    )
    assert cells.without(set()) is cells


@pytest.mark.parametrize("cache", [Cache.MEMORY, Cache.DISK, Cache.NONE])
def test_a_part_may_be_empty(cache: Cache, tmp_path: Path) -> None:
    cells = load([], tmp_path, cache)
    assert (len(cells), list(cells.store.batches(np.zeros(0, np.int64), 4))) == (0, [])


def test_a_streamed_image_that_vanishes_is_told(images: list[CellImage], tmp_path: Path) -> None:
    cells = load(images, tmp_path, Cache.NONE)
    assert isinstance(cells.store, StreamedPixels)
    Path(cells.images[7].path).unlink()
    batches = cells.store.batches(np.arange(18), 4)
    assert next(batches).shape == (4, 12, 12, 3)
    with pytest.raises(MalscanError, match="could be read at first and cannot be now: no such"):
        list(batches)


def test_a_cache_that_does_not_fit_on_the_disk_is_told(
    images: list[CellImage], tmp_path: Path
) -> None:
    full = OSError(28, "No space left on device")
    with (
        patch("os.posix_fallocate", side_effect=full),
        pytest.raises(MalscanError, match=r"cache .*part\.cache of 0 MB: No space.*--cache"),
    ):
        load(images, tmp_path, Cache.DISK)


def test_cells_go_to_memory_only_if_they_take_a_quarter_of_it_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    each = COMPACT_PREPROCESSING.size**2 * 3
    pages = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 100 * each * 4}
    monkeypatch.setattr("os.sysconf", pages.__getitem__)
    assert cache_for(100, COMPACT_PREPROCESSING, Cache.AUTO) is Cache.MEMORY
    assert cache_for(101, COMPACT_PREPROCESSING, Cache.AUTO) is Cache.NONE
    assert cache_for(101, COMPACT_PREPROCESSING, Cache.MEMORY) is Cache.MEMORY
    assert cache_for(1, COMPACT_PREPROCESSING, Cache.DISK) is Cache.DISK


def test_a_cache_on_disk_is_a_file_that_is_mapped(images: list[CellImage], tmp_path: Path) -> None:
    (tmp_path / "part.cache").write_bytes(b"of an earlier run" * 10_000)
    cells = load(images, tmp_path, Cache.DISK)
    assert isinstance(cells.store, StoredPixels)
    assert isinstance(cells.store.array, np.memmap)
    assert (tmp_path / "part.cache").stat().st_size == 20 * 12 * 12 * 3
    shutil.rmtree(tmp_path / "data")
    assert pixels_of(cells, [0]).any()
