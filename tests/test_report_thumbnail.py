"""Small pictures: upright, of bounded size, and a reason where there is none."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_report import failed_row, image_row

from malscan.report.thumbnail import MOST_BYTES, SIDE, thumbnail, webp


def colours(picture: Image.Image | None) -> np.ndarray:
    assert picture is not None
    return np.asarray(picture).astype(int)


def two_halves(width: int = 40, height: int = 60) -> Image.Image:
    """Red above, blue below."""
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[: height // 2, :, 0] = 255
    pixels[height // 2 :, :, 2] = 255
    return Image.fromarray(pixels)


def test_a_small_crop_keeps_its_pixels(cell_png: Path) -> None:
    with Image.open(cell_png) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert (colours(thumbnail(image_row(str(cell_png))).picture) == expected).all()


def test_a_large_crop_is_made_small_in_proportion(tmp_path: Path) -> None:
    two_halves(200, 400).save(tmp_path / "a.png")
    picture = thumbnail(image_row(str(tmp_path / "a.png"))).picture
    assert picture is not None
    assert picture.size == (SIDE // 2, SIDE)


def test_a_jpeg_is_turned_upright_as_in_the_scan(tmp_path: Path) -> None:
    image = two_halves()
    exif = Image.Exif()
    exif[0x0112] = 3
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = colours(thumbnail(image_row(str(tmp_path / "a.jpg"))).picture)
    assert turned[5, 20, 2] > 200
    assert turned[-5, 20, 0] > 200


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    rgba = np.full([20, 20, 4], 255, np.uint8)
    rgba[:, :10, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    seen = colours(thumbnail(image_row(str(tmp_path / "a.png"))).picture)
    assert (seen[:, :10] == 0).all()
    assert (seen[:, 10:] == 255).all()


@pytest.mark.parametrize("raw", [b"latin-\xe9.png", b"=sum.png", b"-dash.png", b"a\nb.png"])
def test_a_row_leads_back_to_its_file(
    raw: bytes, cell_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.link(cell_png, raw)
    row = image_row(os.fsdecode(raw))
    assert thumbnail(row).picture is not None


def test_a_file_that_has_vanished_or_changed_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "fifo.png")
    for name, reason in {
        "gone.png": "no such file",
        "text.png": "not an image",
        "folder.png": "not a regular file",
        "fifo.png": "not a regular file",
    }.items():
        found = thumbnail(image_row(str(tmp_path / name)))
        assert found.picture is None
        assert found.fault is not None
        assert reason in found.fault


def test_a_whole_field_that_the_scan_refused_can_still_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "field.jpg"
    two_halves(900, 600).save(path)
    assert thumbnail(failed_row(str(path))).picture is not None
    path.write_bytes(path.read_bytes() + bytes(4_000_001))
    assert thumbnail(failed_row(str(path))).fault == "too large to show"
    assert thumbnail(image_row(str(path))).picture is not None


@pytest.mark.parametrize("size", [(SIDE, SIDE), (1, SIDE), (SIDE, 7)])
def test_even_noise_stays_below_the_cap(size: tuple[int, int], rng: np.random.Generator) -> None:
    noise = Image.fromarray(rng.integers(0, 256, [size[1], size[0], 3], np.uint8))
    data = webp(noise)
    assert len(data) <= MOST_BYTES
    with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
        image.load()


def test_a_cell_keeps_its_size_and_nearly_its_colours(cell_png: Path) -> None:
    picture = thumbnail(image_row(str(cell_png))).picture
    assert picture is not None
    with Image.open(io.BytesIO(webp(picture))) as image:
        assert image.size == picture.size
        assert np.abs(colours(image.convert("RGB")) - colours(picture)).mean() < 6
