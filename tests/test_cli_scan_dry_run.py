"""`malscan scan --dry-run` says what a scan would do, and does nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Cli

from malscan.model import EMBEDDED, load_model


@pytest.fixture
def lab(slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(slides, tmp_path / "slides")
    (tmp_path / "slides/s1/Thumbs.db").write_bytes(b"x")
    (tmp_path / "slides/s3/cell_0001.png").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder: Path) -> dict[Path, tuple[int, int]]:
    return {
        path: ((status := path.lstat()).st_mtime_ns, status.st_size)
        for path in [folder, *folder.rglob("*")]
    }


def test_it_says_what_would_be_scanned_with_what_and_written(cli: Cli, lab: Path) -> None:
    (lab / "r.summary.csv").write_text("of last night")
    before = everything(lab)

    result = cli(
        *("scan", "slides", "--out", "r.csv", "--out", "r.json", "--failed-to", "failed.txt"),
        *("--montage", "sheets", "--threshold", "0.7", "--dry-run"),
    )

    assert result.code == 0, result.err
    assert result.out == ""
    words = [line.split() for line in result.err.splitlines()]
    for row in (["s1", "8"], ["s2", "8"], ["s3", "7"], ["TOTAL", "23"]):
        assert row in words
    assert "1 other files were passed over." in result.err
    model = f"Would use model compact, {EMBEDDED}, sha256 {load_model(EMBEDDED).sha256}"
    assert f"{model}, threshold 0.7" in result.err
    assert "Would write r.csv, r.json, r.csv.run.json, failed.txt, sheets" in result.err
    assert "Would replace r.summary.csv" in result.err
    assert everything(lab) == before


def test_it_walks_as_the_scan_would(cli: Cli, lab: Path) -> None:
    (lab / "list").write_bytes(b"slides/s1/cell_0001.png\0slides/s2\0")

    result = cli(
        *("scan", "--files-from", "list", "-0", "--exclude", "cell_0002.*", "--limit", "5"),
        *("--out", "-", "--dry-run"),
    )

    assert result.code == 0, result.err
    words = [line.split() for line in result.err.splitlines()]
    assert ["slides/s1", "1"] in words
    assert ["slides/s2", "4"] in words
    assert "Note: took the first 5 images only (--limit)" in result.err
    assert "Note: left out 1 files and folders that were not asked for" in result.err
    assert "Would write CSV rows to stdout" in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["slides", "--out", "r.csv", "--exclude", "s?"], 1, "no image found (3 were left out"),
        (["slides", "--out", "r.csv", "--exclude", "s?", "--allow-empty"], 0, "TOTAL"),
        (["slides", "--out", "gone/r.csv"], 1, "cannot write gone/r.csv: no such folder"),
        (["slides", "--out", "folder.csv"], 1, "cannot write folder.csv: it is a folder"),
        (["slides", "--out", "fifo.csv"], 1, "cannot write fifo.csv: it is no regular file"),
        (["slides", "--out", "r.csv", "--model", "slides"], 1, "not a malscan model"),
        (["slides", "--out", "r.csv", "--montage", "folder.csv"], 1, "other things than a montage"),
        (["slides", "--out", "r.csv", "--montage", "gone/m"], 1, "gone/m: no such folder"),
        (["slides", "--out", "r.xls"], 2, "unknown report format"),
        (["slides", "--out", "r.csv", "--quiet"], 0, ""),
    ],
)
def test_it_ends_as_the_scan_would(
    cli: Cli, lab: Path, args: list[str], code: int, message: str
) -> None:
    (lab / "folder.csv").mkdir()
    (lab / "folder.csv/.thesis").touch()
    os.mkfifo(lab / "fifo.csv")
    before = everything(lab)

    result = cli("scan", *args, "--dry-run")

    assert result.code == code, result.err
    assert message in result.err
    assert message or not result.err
    assert everything(lab) == before


@pytest.mark.parametrize(("option", "code"), [([], 3), (["--keep-going"], 0)])
def test_a_folder_that_cannot_be_listed_is_told(
    cli: Cli, lab: Path, monkeypatch: pytest.MonkeyPatch, option: list[str], code: int
) -> None:
    listing = os.scandir

    def scandir(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        if os.fsencode(path).endswith(b"s2"):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)

    result = cli("scan", "slides", "--out", "r.csv", "--dry-run", *option)

    assert result.code == code
    assert "slides/s2: the folder cannot be listed: Permission denied" in result.err


def test_it_does_not_load_tensorflow(lab: Path) -> None:
    program = (
        "import sys; from malscan.cli import main\n"
        "sys.argv = ['malscan', 'scan', 'slides', '--out', 'r.csv', '--dry-run']\n"
        "try: main()\n"
        "except SystemExit as stop: code = stop.code\n"
        "print(code, {'tensorflow', 'keras', 'scipy', 'pandas'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "0 set()\n"
