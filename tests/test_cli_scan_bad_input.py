"""No file, however bad, stops a scan, is scored by mistake or garbles a report."""

import base64
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli
from draw_cells import draw_cell
from PIL import Image

import malscan.scan
from malscan.model import EMBEDDED
from malscan.walk import CellImage, Walk

NOBODY = 65534


@pytest.fixture
def cell(rng: np.random.Generator) -> Image.Image:
    return draw_cell(rng, True, size=60)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(report: Path) -> pd.DataFrame:
    return pd.read_csv(report, keep_default_na=False)


def lying_png(cell: Image.Image) -> bytes:
    """A small PNG whose header promises 60,000 x 60,000 pixels."""
    data = encoded(cell, "PNG")
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def unreadable(cell: Image.Image) -> dict[str, tuple[bytes, str]]:
    """Files that must fail, each with a word of its reason."""
    other = cell.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    several = {"save_all": True, "append_images": [other]}
    files = {
        "zero.png": (b"", "empty"),
        "text.png": (b"This is no picture.\n", "not an image in a known format"),
        "lying.png": (lying_png(cell), "too large: 60000 x 60000 pixels"),
        "animated.gif": (encoded(cell, "GIF", **several), "several frames or pages (2)"),
        "pages.tif": (encoded(cell, "TIFF", **several), "several frames or pages (2)"),
        "field.png": (encoded(cell.resize((700, 500)), "PNG"), "not a single-cell crop"),
    }
    for kind, suffix in (("PNG", "png"), ("JPEG", "jpg")):
        data = encoded(cell, kind)
        for eighths in range(1, 8):
            cut = data[: len(data) * eighths // 8]
            files[f"cut {eighths}.{suffix}"] = (cut, "truncated")
            if kind == "JPEG" and eighths > 2:
                files[f"closed {eighths}.jpg"] = (cut.rstrip(b"\xff") + b"\xff\xd9", "truncated")
    return files


def odd_but_readable(cell: Image.Image) -> dict[str, bytes]:
    deep = np.asarray(cell.convert("L")).astype(np.uint16) * 257
    return {
        "one pixel.png": encoded(cell.resize((1, 1)), "PNG"),
        "cmyk.jpg": encoded(cell.convert("CMYK"), "JPEG"),
        "16 bit.tif": encoded(Image.fromarray(deep), "TIFF"),
        "UPPER.PNG": encoded(cell, "PNG"),
    }


def test_bad_files_are_rows_with_reasons_and_leave_the_others_alone(
    cli: Cli, cell: Image.Image, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(slides / "s1", "cells/good")
    bad, odd = unreadable(cell), odd_but_readable(cell)
    Path("cells/bad").mkdir()
    for name, data in (*((name, data) for name, (data, _) in bad.items()), *odd.items()):
        Path("cells/bad", name).write_bytes(data)

    alone = cli("scan", "cells/good", "--out", "alone.csv")
    result = cli("scan", "cells", "--out", "r.csv", "--out", "r.json", "--batch-size", "16")

    assert (alone.code, result.code) == (0, 3), result.err
    assert "Traceback" not in result.err
    rows = read(Path("r.csv")).set_index("path")
    assert len(rows) == 8 + len(bad) + len(odd)
    for name, (_, reason) in bad.items():
        row = rows.loc[f"cells/bad/{name}"]
        assert (row.status, row.call, row.probability) == ("failed", "", "")
        assert reason in row.error, f"{name}: {row.error}"
        assert "0x" not in row.error
    for name in odd:
        assert rows.loc[f"cells/bad/{name}"].status == "ok"
    good = rows[rows.slide == "good"].probability.astype(float)
    assert good.tolist() == read(Path("alone.csv")).probability.tolist()
    assert [image["path"] for image in json.loads(Path("r.json").read_text())["images"]] == list(
        rows.index
    )
    assert f"slide bad: {len(bad)} images could not be read" in result.err


@pytest.mark.timeout(120)
def test_what_is_no_regular_file_is_not_opened(
    cli: Cli, cell_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    slide = Path("slide")
    slide.mkdir()
    (slide / "a.png").hardlink_to(cell_png)
    os.mkfifo(slide / "fifo.png")
    (slide / "gone.png").symlink_to("nowhere.png")
    (slide / "loop.png").symlink_to("loop.png")
    (slide / "zero.png").symlink_to("/dev/zero")
    expected = {
        "a.png": "",
        "fifo.png": "not a regular file",
        "gone.png": "no such file or directory",
        "loop.png": "too many levels of symbolic links",
        "zero.png": "not a regular file",
    }
    try:
        os.mknod(slide / "null.png", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        expected["null.png"] = "not a regular file"
    except PermissionError:
        pass  # That takes root; the link to a device stands for it.

    result = cli("scan", "slide", "--out", "r.csv")

    assert result.code == 3
    errors = read(Path("r.csv")).set_index("path").error.to_dict()
    assert errors == {f"slide/{name}": error for name, error in expected.items()}


@pytest.mark.fault("a folder that vanishes in mid-scan")
def test_what_vanishes_between_walk_and_read_is_a_failed_row(
    cli: Cli, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(slides, "slides")

    class Vanishing(Walk):
        """A walk during which somebody tidies up."""

        def __iter__(self) -> Iterator[CellImage]:
            for image in super().__iter__():
                if image.path.endswith("s1/cell_0002.png"):
                    Path(image.path).unlink()
                    shutil.rmtree("slides/s3")
                yield image

    monkeypatch.setattr(malscan.scan, "Walk", Vanishing)

    result = cli("scan", "slides", "--out", "r.csv")

    assert result.code == 3
    failed = read(Path("r.csv")).query("status == 'failed'").set_index("path").error
    assert failed.to_dict() == {
        "slides/s1/cell_0002.png": "no such file or directory",
        "slides/s3": "the folder cannot be listed: No such file or directory",
    }


@contextmanager
def somebody_else() -> Iterator[None]:
    """Act as a user without rights: root may read whatever it likes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may enter and write to."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_what_may_not_be_read_is_a_failed_row(
    cli: Cli, slides: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(public)
    shutil.copytree(slides, "slides")
    Path("slides/s1/cell_0001.png").chmod(0)
    Path("slides/s2").chmod(0)
    Path("slides/s3").chmod(0o444)
    # The installed model, and what is still to be loaded, may lie where only root may enter.
    shutil.copytree(EMBEDDED, "model")
    assert cli("scan", slides / "s1", "--out", "first.csv").code == 0

    with somebody_else():
        result = cli("scan", "slides", "--out", "r.csv", "--model", "model")

    for folder in ("slides/s2", "slides/s3"):
        Path(folder).chmod(0o755)
    assert result.code == 3, result.err
    rows = read(Path("r.csv")).set_index("path")
    assert len(rows) == 8 + 1 + 8
    failed = rows[rows.status == "failed"].error.to_dict()
    assert failed.pop("slides/s1/cell_0001.png") == "permission denied"
    assert failed.pop("slides/s2") == "the folder cannot be listed: Permission denied"
    assert set(failed) == {f"slides/s3/cell_{number:04}.png" for number in range(1, 9)}
    assert set(failed.values()) == {"permission denied"}


def test_odd_names_come_back_from_every_report_whether_read_or_not(
    cli: Cli, cell_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        *(b"=1+1.png", b"+1.png", b"-1.png", b"@a.png", b"\ttab.png", b"\rreturn.png"),
        *(b"line\nbreak.png", b"a,b.png", b'"quoted".png', b"'single'.png", b"semi;colon.png"),
        *("🦟.png".encode(), b"latin-\xe9.png", b"\xff\xfe.png", b"\x1b[31m.png", b" .png"),
        *(b"NA.png", b"[red].png", b"%s.png", b"#.png"),
    ]
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(names):
        path = Path(os.fsdecode(name))
        if number % 2:
            path.hardlink_to(cell_png)
        else:
            path.write_bytes(b"")
    cell_png.unlink()

    result = cli("scan", ".", "--out", "r.csv", "--out", "r.json", "--failed-to", "f", "-0")

    assert result.code == 3, result.err
    expected = [f"./{name.decode('utf-8', 'backslashreplace')}" for name in sorted(names)]
    rows = read(Path("r.csv"))
    assert rows.path.tolist() == expected
    assert rows.status.tolist() == [
        "ok" if names.index(name) % 2 else "failed" for name in sorted(names)
    ]
    images = json.loads(Path("r.json").read_text())["images"]
    assert [image["path"] for image in images] == expected
    originals = [
        base64.b64decode(image["path_bytes"]) if "path_bytes" in image else image["path"].encode()
        for image in images
    ]
    assert originals == [b"./" + name for name in sorted(names)]
    assert sorted(Path("f").read_bytes().split(b"\0")) == sorted(
        [b"", *(b"./" + name for name in names[::2])]
    )


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.fault("a full disk")
def test_a_full_disk_under_the_report_is_told_and_leaves_the_last_report(
    cli: Cli, cell_png: Path, tmp_path: Path, kind: str
) -> None:
    disk, cells = tmp_path / "disk", tmp_path / "cells"
    disk.mkdir()
    cells.mkdir()
    for number in range(3000):
        (cells / f"{'long name ' * 5}{number}.png").hardlink_to(cell_png)
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here: that takes root")
    try:
        report = disk / f"r.{kind}"
        report.write_text("the report of last night")

        result = cli("scan", cells, "--out", report)

        assert result.code == 1
        assert "No space left on device" in result.err or "disk is full" in result.err
        assert "Traceback" not in result.err
        assert report.read_text() == "the report of last night"
        assert not list(disk.glob("*.partial"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
