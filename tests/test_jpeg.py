"""A JPEG that lacks part of its picture is never decoded, however well it is closed."""

import io
from typing import Any

import numpy as np
import pytest
from draw_cells import draw_cell
from PIL import Image

from malscan.decode import decode
from malscan.jpeg import fault_of_jpeg, is_plain_jpeg, read_strictly
from malscan.picture import UnreadableImageError

END = b"\xff\xd9"
KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "4:4:4": {"subsampling": "4:4:4"},
    "optimized": {"optimize": True},
    "restarts": {"restart_marker_blocks": 3},
    "rgb": {"keep_rgb": True},
    "progressive": {"progressive": True},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 1},
}


def cell(size: int = 90) -> Image.Image:
    return draw_cell(np.random.default_rng(1), True, size=size)


def encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def on_bright_ground(image: Image.Image) -> Image.Image:
    """The same cell without mask, with the noise of a camera."""
    noise = np.random.default_rng(2).normal(225, 4, (image.height, image.width, 3))
    pixels = np.asarray(image)
    dark = (pixels == 0).all(axis=2, keepdims=True)
    return Image.fromarray(np.where(dark, noise, pixels).astype(np.uint8))


def scans(data: bytes) -> list[int]:
    """Where each scan starts."""
    found, place = [], 0
    while (place := data.find(b"\xff\xda", place)) >= 0:
        found.append(place)
        place += 2
    return found


def closed_cuts(data: bytes, step: int) -> list[bytes]:
    """The file cut at many places within its picture, the last bytes among them, and closed."""
    first = scans(data)[0] + 14
    places = {*range(first, len(data) - 2, step), *range(len(data) - 12, len(data) - 2)}
    # A cut behind 0xff would make another marker of it.
    return [data[:place] + END for place in sorted(places) if data[place - 1] != 0xFF]


@pytest.mark.parametrize("quality", [20, 60, 75, 85, 95, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_jpeg_with_an_end_marker_is_refused(kind: str, quality: int) -> None:
    for image in (cell(), on_bright_ground(cell())):
        data = encoded(image, quality=quality, **KINDS[kind])
        assert fault_of_jpeg(data) is None
        cuts = closed_cuts(data, 97)
        assert len(cuts) > 8
        for cut in cuts:
            assert "truncated" in str(fault_of_jpeg(cut)) or "damaged" in str(fault_of_jpeg(cut))
        for cut in cuts[::7]:
            with pytest.raises(UnreadableImageError, match=r"truncated|damaged"):
                decode(cut)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_cut_jpeg_of_other_colours_is_refused(mode: str) -> None:
    data = encoded(cell().convert(mode))
    decode(data)
    for cut in closed_cuts(data, 97):
        with pytest.raises(UnreadableImageError, match=r"truncated|damaged"):
            decode(cut)


def test_a_cut_jpeg_with_exif_is_refused() -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    data = encoded(cell(), exif=tags)
    assert decode(data).pixels.shape[:2] == cell().size
    for cut in closed_cuts(data, 97):
        with pytest.raises(UnreadableImageError, match=r"truncated|damaged"):
            decode(cut)


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    data = encoded(cell(), progressive=True)
    starts = scans(data)
    assert len(starts) > 5
    for start in starts[1:]:
        # Tables may stand before a scan; they make no difference.
        assert "before its last scan" in str(fault_of_jpeg(data[:start] + END))


def test_a_jpeg_whose_colours_have_not_come_is_refused() -> None:
    # A baseline JPEG may send its components one after the other; this one sends the first only.
    data = encoded(cell(), subsampling="4:4:4")
    start = scans(data)[0]
    one = data[:start] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + data[start + 14 :]
    assert not is_plain_jpeg(one)
    assert "before its last scan" in str(fault_of_jpeg(one))


@pytest.mark.parametrize("kind", ["baseline", "restarts"])
def test_most_jpegs_with_bytes_lost_within_are_refused(kind: str) -> None:
    # The format has no checksum: some losses leave data that decode to the end.
    data = encoded(cell(), quality=75, **KINDS[kind])
    places = range(scans(data)[0] + 14, len(data) - 60, 31)
    faults = [fault_of_jpeg(data[:place] + data[place + 40 :]) for place in places]
    found = [fault for fault in faults if fault is not None]
    assert all("truncated" in fault or "damaged" in fault for fault in found)
    assert len(found) > 0.75 * len(faults)


def test_complaints_that_say_nothing_of_the_picture_are_no_fault() -> None:
    data = encoded(cell())
    revision = data.index(b"JFIF\0") + 5
    start = scans(data)[0]
    odd = {
        "padding": data[:-2] + b"\0" * 40 + END,
        "bytes after the end": data + b"camera",
        "JFIF revision": data[:revision] + b"\x02" + data[revision + 1 :],
        "scan parameters": data[: start + 11] + b"\0\0\0" + data[start + 14 :],
        "sampling": encoded(cell(), subsampling="4:2:0"),
    }
    place = odd["sampling"].index(b"\xff\xc0") + 11
    assert odd["sampling"][place] == 0x22
    for name, changed in odd.items():
        assert fault_of_jpeg(changed) is None, name
        np.testing.assert_array_equal(decode(changed).pixels.shape, decode(data).pixels.shape)
        assert fault_of_jpeg(changed[: len(changed) // 2]) is not None
    assert "extraneous" in str(fault_of_jpeg(data[:-2] + bytes(range(40)) + END))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("kind", ["baseline", "restarts", "optimized"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (27, 19), (96, 103), (384, 77)])
def test_a_plain_jpeg_gives_the_pixels_of_pillow(
    width: int, height: int, kind: str, subsampling: str
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for image in (cell().resize((width, height)), Image.fromarray(noise)):
        data = encoded(image, quality=75, subsampling=subsampling, **KINDS[kind])
        assert is_plain_jpeg(data)
        with Image.open(io.BytesIO(data)) as opened:
            np.testing.assert_array_equal(read_strictly(data), np.asarray(opened))


@pytest.mark.parametrize("kind", ["rgb", "progressive"])
def test_other_jpegs_give_the_pixels_of_pillow_too(kind: str) -> None:
    data = encoded(cell(), **KINDS[kind])
    with Image.open(io.BytesIO(data)) as opened:
        np.testing.assert_array_equal(decode(data).pixels, np.asarray(opened))


def test_a_complaint_of_no_weight_does_not_hide_that_the_end_is_missing() -> None:
    # libjpeg stops at what it complains of first.
    data = encoded(cell())
    revision, start = data.index(b"JFIF\0") + 5, scans(data)[0]
    odd = {
        "JFIF revision": data[:revision] + b"\x09" + data[revision + 1 :],
        "scan parameters": data[: start + 11] + b"\0\0\0" + data[start + 14 :],
    }
    odd["both"] = odd["scan parameters"][:revision] + odd["JFIF revision"][revision:start]
    odd["both"] += odd["scan parameters"][start:]
    for name, whole in odd.items():
        assert fault_of_jpeg(whole) is None, name
        assert "truncated" in str(fault_of_jpeg(whole[:-300] + END)), name


def test_padding_is_told_from_the_end_marker_of_what_follows() -> None:
    padded = encoded(cell())[:-2] + b"\0" * 40 + END
    assert fault_of_jpeg(padded + encoded(cell())) is None


@pytest.mark.parametrize("sampling", [b"\x12", b"\x13", b"\x31", b"\x44"])
def test_a_sampling_that_cannot_be_checked_is_refused_and_ends_no_scan(sampling: bytes) -> None:
    data = encoded(cell(), subsampling="4:2:0")
    place = data.index(b"\xff\xc0") + 11
    with pytest.raises(UnreadableImageError, match=r"sampled in a way|truncated|damaged"):
        decode(data[:place] + sampling + data[place + 1 :])


def test_a_sampling_without_a_name_ends_no_scan() -> None:
    # It has as many blocks as 4:2:0, so that its data can be read to the end.
    data = encoded(cell(), subsampling="4:2:0")
    place = data.index(b"\xff\xc0") + 11
    assert decode(data[:place] + b"\x14" + data[place + 1 :]).pixels.shape[2] == 3


def test_an_arithmetic_coded_jpeg_is_refused() -> None:
    # Its decoder makes a picture of any bytes.
    data = encoded(cell())
    place = data.index(b"\xff\xc0") + 1
    with pytest.raises(UnreadableImageError):
        decode(data[:place] + b"\xc9" + data[place + 1 :])
