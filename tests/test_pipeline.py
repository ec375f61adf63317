"""Tests of the way from files to batches: nothing is lost, nothing is out of order."""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import SHARED
from draw_cells import draw_cell
from numpy.typing import NDArray
from PIL import Image

from malscan.decode import decode
from malscan.kernel import Kernel
from malscan.pipeline import Batch, Loaded, batches
from malscan.preprocess import Preprocessing, resize
from malscan.walk import CellImage

SIZE = 32
PREPROCESSING = Preprocessing(SIZE, Kernel.AREA)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def png_of_a_cell(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    draw_cell(np.random.default_rng(seed), seed % 2 == 0, size=40 + seed % 9).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg_of_a_cell() -> bytes:
    buffer = io.BytesIO()
    draw_cell(np.random.default_rng(0), True, size=60).save(buffer, "JPEG")
    return buffer.getvalue()


def directory(name: str) -> None:
    Path(name).mkdir()


def huge(name: str) -> None:
    with Path(name).open("wb") as file:
        file.write(png_of_a_cell())
        file.truncate(600 * 1024 * 1024)


def content(data: bytes) -> Callable[[str], None]:
    def write(name: str) -> None:
        Path(name).write_bytes(data)

    return write


def link_to(target: str) -> Callable[[str], None]:
    return lambda name: Path(name).symlink_to(target)


BAD: dict[str, tuple[str, Callable[[str], None]]] = {
    "missing.png": ("no such file", lambda name: None),
    "directory.png": ("not a regular file", directory),
    "fifo.png": ("not a regular file", os.mkfifo),
    "device.png": ("not a regular file", link_to("/dev/null")),
    "loop.png": ("too many levels of symbolic links", link_to("loop.png")),
    "gone.png": ("no such file", link_to("nowhere.png")),
    "huge.png": ("too large", huge),
    "empty.png": ("empty", content(b"")),
    "text.png": ("not an image", content(b"slide,cell\n1,2\n")),
    "tiny.png": ("truncated", content(png_of_a_cell()[:20])),
    "tiny.jpg": ("truncated", content(jpeg_of_a_cell()[:20])),
    "half.png": ("truncated", content(png_of_a_cell()[:-900])),
    "no-end.png": ("truncated", content(png_of_a_cell()[:-12])),
    "half.jpg": ("truncated", content(jpeg_of_a_cell()[:-500])),
    "no-end.jpg": ("truncated", content(jpeg_of_a_cell()[:-2])),
    "checksum.png": ("IDAT", content(png_of_a_cell()[:-13] + b"\0" + png_of_a_cell()[-12:])),
    "no-jpeg.jpg": ("damaged", content(b"\xff\xd8\xff" + bytes(200))),
}


def write_field(name: str) -> None:
    """A picture of a whole field."""
    Image.new("RGB", (600, 400), (200, 180, 190)).save(name)


BAD["field.png"] = BAD["field.jpg"] = BAD["field.tif"] = ("not a single-cell crop", write_field)


def write_pages(name: str) -> None:
    frames = [Image.new("RGB", (30, 30), (shade, 0, 0)) for shade in (10, 20, 30)]
    frames[0].save(name, save_all=True, append_images=frames[1:])


BAD["pages.tif"] = BAD["pages.gif"] = BAD["apng.png"] = ("several frames", write_pages)


def write_half_pages(name: str) -> None:
    write_pages(name)
    data = Path(name).read_bytes()
    Path(name).write_bytes(data[: len(data) // 2])


BAD["half-pages.tif"] = ("damaged", write_half_pages)


def good(count: int) -> list[CellImage]:
    """Write some good cells."""
    for number in range(count):
        Path(f"good{number}.png").write_bytes(png_of_a_cell(number))
    return [CellImage(f"good{number}.png", "s") for number in range(count)]


def bad() -> list[CellImage]:
    """Make one file of every bad kind."""
    for name, (_, make) in BAD.items():
        make(name)
    return [CellImage(name, "s") for name in BAD]


def load(images: Iterable[CellImage], batch_size: int = 4) -> list[Batch]:
    return list(batches(images, PREPROCESSING, batch_size=batch_size))


def outcomes(loaded: list[Batch]) -> list[Loaded]:
    return [item for batch in loaded for item in batch.items]


def pixels_by_path(loaded: list[Batch]) -> dict[str, NDArray[np.uint8]]:
    return {
        item.image.path: batch.pixels[item.slot].numpy()
        for batch in loaded
        if batch.pixels is not None
        for item in batch.items
        if item.slot is not None
    }


def check_account(images: list[CellImage], loaded: list[Batch], batch_size: int) -> None:
    """Every image comes out once and in order; a slot is used once; failures have reasons."""
    assert [item.image for item in outcomes(loaded)] == images
    for batch in loaded:
        slots = [item.slot for item in batch.items if item.slot is not None]
        assert slots == sorted(set(slots))
        if slots:
            assert batch.pixels is not None
            assert batch.pixels.shape == (batch_size, SIZE, SIZE, 3)
            assert batch.pixels.dtype == tf.uint8
            assert 0 <= slots[0] <= slots[-1] < batch_size
        for item in batch.items:
            assert (item.slot is None) == (item.error is not None)
            assert item.error != ""


# Every image is accounted for


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_good_and_bad_images_all_come_out_in_order(batch_size: int) -> None:
    cells, failures = good(12), bad()
    images = [image for pair in zip(failures, cells * 3, strict=False) for image in pair]
    loaded = load(images, batch_size)
    check_account(images, loaded, batch_size)
    failed = {item.image.path for item in outcomes(loaded) if item.error is not None}
    assert failed == set(BAD)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.timeout(120)
def test_every_failed_image_has_a_reason_that_a_technician_understands() -> None:
    cells, failures = good(1), bad()
    reasons = {item.image.path: item.error for item in outcomes(load(cells + failures))}
    assert reasons.pop("good0.png") is None
    for name, (expected, _) in BAD.items():
        reason = reasons.pop(name)
        assert reason is not None
        assert expected in reason, name
        for jargon in ("Errno", "Tensor", "Error", "node", "Traceback", "0x", "\n", "b'"):
            assert jargon not in reason, name
    assert reasons == {}


@pytest.mark.parametrize("batch_size", [3, 256])
@pytest.mark.parametrize("bad_at", [{0, 1, 2}, {4, 5, 6}, {0, 3, 6}, set(range(7))])
@pytest.mark.parametrize("data", [b"", png_of_a_cell()[:-40]], ids=["empty", "truncated"])
def test_images_may_fail_first_last_in_between_or_all(
    data: bytes, bad_at: set[int], batch_size: int
) -> None:
    images = good(7)
    for number in bad_at:
        Path(images[number].path).write_bytes(data)
    loaded = load(images, batch_size)
    check_account(images, loaded, batch_size)
    failed = [item.error is not None for item in outcomes(loaded)]
    assert failed == [number in bad_at for number in range(7)]


@pytest.mark.parametrize("data", [b"", png_of_a_cell()[:-40]], ids=["empty", "truncated"])
def test_a_batch_without_a_readable_image_has_no_pixels(data: bytes) -> None:
    images = good(5)
    for image in images:
        Path(image.path).write_bytes(data)
    loaded = load(images, batch_size=3)
    check_account(images, loaded, 3)
    assert [batch.pixels for batch in loaded] == [None] * len(loaded)


def test_no_images_give_no_items() -> None:
    assert outcomes(load([])) == []


def test_an_image_that_the_walk_has_failed_is_passed_through() -> None:
    first, middle, last = good(3)
    unlistable = CellImage("s2", "s2", error="the folder cannot be listed: Permission denied")
    known = CellImage(middle.path, "s", error="für Tests: nicht gelesen")
    images = [unlistable, first, known, last]
    loaded = load(images)
    check_account(images, loaded, 4)
    errors = [item.error for item in outcomes(loaded)]
    assert errors == [unlistable.error, None, known.error, None]


def test_a_known_error_may_hold_any_name() -> None:
    first, last = good(2)
    images = [first, CellImage("s2", "s2", error=os.fsdecode(b"bad name \xff")), last]
    loaded = load(images)
    check_account(images, loaded, 4)
    errors = [item.error for item in outcomes(loaded)]
    assert errors[0] is None
    assert errors[1] is not None
    assert errors[1].startswith("bad name")
    assert errors[2] is None


def test_a_name_that_no_file_can_have_fails_alone() -> None:
    first, last = good(2)
    images = [first, CellImage("zero\0byte.png", "s"), last]
    loaded = load(images)
    check_account(images, loaded, 4)
    assert [item.error is None for item in outcomes(loaded)] == [True, False, True]


def test_an_image_may_come_several_times() -> None:
    images = good(1) * 9
    loaded = load(images)
    check_account(images, loaded, 4)
    assert all(item.error is None for item in outcomes(loaded))


def test_what_is_known_of_an_image_stays_with_it() -> None:
    (cell,) = good(1)
    image = CellImage(cell.path, "slide", label="parasitized", patient="C1")
    assert [item.image for item in outcomes(load([image]))] == [image]


@pytest.mark.timeout(300)
def test_thousands_of_images_with_failures_among_them_are_all_accounted_for() -> None:
    Path("cell.png").write_bytes(png_of_a_cell())
    Path("truncated.png").write_bytes(png_of_a_cell()[:-100])
    broken = {0, 1023, 1024, 2499, *range(300, 310), *range(1200, 2000, 97)}
    for number in range(2500):
        Path(f"{number}.png").hardlink_to("truncated.png" if number in broken else "cell.png")
    images = [CellImage(f"{number}.png", "s") for number in range(2500)]
    loaded = load(images, batch_size=64)
    check_account(images, loaded, 64)
    failed = {n for n, item in enumerate(outcomes(loaded)) if item.error is not None}
    assert failed == broken


@pytest.mark.timeout(300)
@pytest.mark.parametrize("data", [b"", png_of_a_cell()[:-100]], ids=["empty", "truncated"])
def test_thousands_of_failures_in_a_row_are_all_accounted_for(data: bytes) -> None:
    (cell,) = good(1)
    Path("bad.png").write_bytes(data)
    images = [cell, *[CellImage("bad.png", "s")] * 2100, cell]
    loaded = load(images, batch_size=256)
    check_account(images, loaded, 256)
    readable = [n for n, item in enumerate(outcomes(loaded)) if item.error is None]
    assert readable == [0, 2101]


# Pixels


def test_pixels_are_those_of_the_decoder_resized() -> None:
    images = good(6)
    Image.open("good0.png").convert("RGBA").save("good1.png")
    Image.open("good0.png").convert("P").save("good2.png")
    Image.open("good0.png").save("good3.png", "JPEG")
    Image.open("good0.png").save("good4.png", "TIFF")
    pixels = pixels_by_path(load(images))
    assert len(pixels) == 6
    for path, found in pixels.items():
        decoded = decode(Path(path).read_bytes())
        np.testing.assert_array_equal(found, resize([decoded.pixels], PREPROCESSING)[0])


def test_pixels_do_not_depend_on_neighbours_or_batch_size() -> None:
    cells, failures = good(4), bad()
    alone: dict[str, NDArray[np.uint8]] = {}
    for cell in cells:
        alone |= pixels_by_path(load([cell], batch_size=1))
    mixed = [image for pair in zip(cells, failures, strict=False) for image in pair]
    for images, batch_size in ((cells, 3), (cells[::-1], 3), (mixed, 1), (mixed, 3), (mixed, 256)):
        pixels = pixels_by_path(load(images, batch_size))
        assert pixels.keys() == alone.keys()
        for path, expected in alone.items():
            np.testing.assert_array_equal(pixels[path], expected)


@pytest.mark.parametrize(("count", "batch_size"), [(1, 8), (7, 3), (6, 3)])
def test_the_last_batch_has_the_full_shape_too(count: int, batch_size: int) -> None:
    loaded = load(good(count), batch_size)
    shapes = {tuple(batch.pixels.shape) for batch in loaded if batch.pixels is not None}
    assert shapes == {(batch_size, SIZE, SIZE, 3)}


def test_the_size_and_the_kernel_are_those_of_the_model() -> None:
    (image,) = good(1)
    preprocessing = Preprocessing(125, Kernel.PILLOW_NEAREST)
    (batch,) = batches([image], preprocessing, batch_size=2)
    assert batch.pixels is not None
    with Image.open(image.path) as cell:
        expected = cell.resize((125, 125), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(batch.pixels[batch.items[0].slot], expected)


def test_an_image_without_colour_is_called_grey() -> None:
    images = good(4)
    Image.open("good1.png").convert("L").save("good1.png")
    Image.open("good2.png").convert("L").save("good2.png", "JPEG")
    assert [item.grey for item in outcomes(load(images))] == [False, True, True, False]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_large_image_is_accepted_where_any_size_will_do(suffix: str) -> None:
    Image.new("RGB", (600, 400), (200, 100, 50)).save(f"field.{suffix}")
    images = [CellImage(f"field.{suffix}", "s")]
    (refused,) = outcomes(load(images))
    assert refused.error is not None
    loaded = list(batches(images, PREPROCESSING, batch_size=1, any_size=True))
    assert [item.error for item in outcomes(loaded)] == [None]
    (pixels,) = pixels_by_path(loaded).values()
    np.testing.assert_allclose(pixels[SIZE // 2, SIZE // 2], [200, 100, 50], atol=2)


# Names


@pytest.mark.parametrize(
    "name", [b"caf\xe9.png", b"\xff\xfe.png", b"a\nb.png", b" ,;'\"%s{}.png", "ü→細胞.png".encode()]
)
def test_names_of_any_bytes_are_read(name: bytes) -> None:
    path = os.fsdecode(name)
    Path(path).write_bytes(png_of_a_cell())
    Path(path + ".bad.png").write_bytes(png_of_a_cell()[:-30])
    image, broken = outcomes(load([CellImage(path, "s"), CellImage(path + ".bad.png", "s")]))
    assert (image.image.path, image.error) == (path, None)
    assert broken.error is not None
    assert "truncated" in broken.error


@pytest.mark.parametrize("folder", ["gs:/bucket", "file:", "http:/a.b", "ram:", "s3:"])
def test_a_name_like_a_remote_address_is_a_file(folder: str) -> None:
    Path(folder).mkdir(parents=True)
    Path(f"{folder}/cell.png").write_bytes(png_of_a_cell())
    path = f"{folder}/cell.png".replace(":/", "://")
    (item,) = outcomes(load([CellImage(path, "s")]))
    assert item.error is None


def test_the_parent_of_a_linked_folder_is_that_of_its_target() -> None:
    Path("real/inner").mkdir(parents=True)
    Path("link").symlink_to("real/inner")
    Image.new("RGB", (30, 30), (255, 0, 0)).save("real/cell.png")
    Image.new("RGB", (30, 30), (0, 0, 255)).save("cell.png")
    (pixels,) = pixels_by_path(load([CellImage("link/../cell.png", "s")])).values()
    np.testing.assert_array_equal(pixels[0, 0], [255, 0, 0])


# The source of the images


@pytest.mark.timeout(120)
def test_images_are_drawn_only_a_little_ahead() -> None:
    (cell,) = good(1)
    drawn = 0

    def images() -> Iterator[CellImage]:
        nonlocal drawn
        for _ in range(20_000):
            drawn += 1
            yield cell

    source = batches(images(), PREPROCESSING, batch_size=32)
    first = next(source)
    assert len(first.items) == 32
    assert drawn < 10_000


@pytest.mark.parametrize("before", [0, 10, 1500])
@pytest.mark.parametrize("fault", [RuntimeError("lost"), OSError(5, "lost"), ValueError("lost")])
def test_an_error_of_the_source_is_raised(fault: Exception, before: int) -> None:
    (cell,) = good(1)

    def images() -> Iterator[CellImage]:
        for _ in range(before):
            yield cell
        raise fault

    with pytest.raises(type(fault), match="lost"):
        load(images(), batch_size=256)


def test_batches_may_be_left_early_and_started_again() -> None:
    images = good(9)
    source = batches(images, PREPROCESSING, batch_size=2)
    assert [item.image for item in next(source).items] == images[:2]
    del source
    check_account(images, load(images), 4)


def test_images_are_not_mixed_up_between_runs_that_follow_or_overlap() -> None:
    images = good(9)
    for some in (images[:5], images[5:], [], images):
        check_account(some, load(some), 4)

    back = images[::-1]
    both = zip(
        batches(images, PREPROCESSING, batch_size=4),
        batches(back, PREPROCESSING, batch_size=4),
        strict=True,
    )
    one, other = (list(loaded) for loaded in zip(*both, strict=True))
    check_account(images, one, 4)
    check_account(back, other, 4)
    check_account(images, load(images), 4)


class TestPixelHashes:
    def hashes(self, paths: list[Path]) -> list[int | None]:
        found = batches(
            [CellImage(str(path), "s") for path in paths],
            PREPROCESSING,
            batch_size=3,
            hashed=True,
        )
        return [item.pixel_hash for batch in found for item in batch.items]

    def test_they_are_the_first_64_bits_of_the_sha256_of_the_rgb_bytes(
        self, tmp_path: Path, rng: np.random.Generator
    ) -> None:
        drawn = [draw_cell(rng, True, size=30) for _ in range(4)]
        expected = [
            int.from_bytes(hashlib.sha256(image.convert("RGB").tobytes()).digest()[:8], "big")
            for image in drawn
        ]
        for suffix in ("png", "webp", "bmp"):
            paths = [tmp_path / f"{i}.{suffix}" for i in range(4)]
            for image, path in zip(drawn, paths, strict=True):
                image.save(path, lossless=True)
            assert self.hashes(paths) == expected, suffix
        assert len(set(expected)) == 4

    def test_what_cannot_be_read_has_none_and_shifts_no_other(
        self, tmp_path: Path, cell_png: Path
    ) -> None:
        (tmp_path / "empty.png").touch()
        found = self.hashes([cell_png, tmp_path / "empty.png", cell_png])
        assert found[1] is None
        assert found[0] == found[2] is not None

    def test_nobody_who_does_not_ask_gets_them(self, cell_png: Path) -> None:
        image = CellImage(str(cell_png), "s")
        (batch,) = batches([image], PREPROCESSING, batch_size=1)
        assert batch.items[0].pixel_hash is None

    @pytest.mark.real_data
    def test_they_are_those_of_the_manifest(self, real_test_cells: Path) -> None:
        with (SHARED / "manifest.tsv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))[:200]
        paths = [real_test_cells / row["label"] / row["name"] for row in rows]
        assert self.hashes(paths) == [int(row["pixels_sha256_16"], 16) for row in rows]
