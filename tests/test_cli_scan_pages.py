"""`malscan scan` with a page to look at and contact sheets."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Cli

from malscan.atomic import locked


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_one_scan_writes_page_and_sheets_and_the_next_one_the_same_bytes(
    cli: Cli, slides: Path, tmp_path: Path
) -> None:
    page, sheets = tmp_path / "r.html", tmp_path / "sheets"
    args = ("scan", slides, "--out", page, "--out", tmp_path / "r.csv", "--montage", sheets)

    result = cli(*args)

    assert result.code == 0, result.err
    assert f"Wrote {sheets}: contact sheets of 3 slides" in result.err
    text = page.read_text()
    with (tmp_path / "r.csv").open(newline="") as file:
        surest = max(csv.DictReader(file), key=lambda row: row["probability"])
    assert f"<b>{float(surest['probability']):.4f}</b> parasitized" in text
    assert text.count("<img ") == 24
    assert "about 0.5 for cells as the model was trained on" in text
    assert {name for name in files_of(sheets) if name != "sheets.csv"} == {
        "s1.png",
        "s2.png",
        "s3.png",
    }
    first = (page.read_bytes(), files_of(sheets))
    assert cli(*args).code == 0
    assert (page.read_bytes(), files_of(sheets)) == first


def test_a_path_that_no_shell_could_have_typed_has_its_picture(
    cli: Cli, cell_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    slide = tmp_path / "=slide <b>"
    slide.mkdir()
    (slide / "-cell.png").hardlink_to(cell_png)
    (slide / "latin-\udce9.png").hardlink_to(cell_png)

    result = cli("scan", slide.name, "--out", "r.html")

    assert result.code == 0, result.err
    text = Path("r.html").read_text()
    assert text.count("data:image/webp;base64,") == 2
    assert "./=slide &lt;b&gt;" in text


def test_a_file_that_vanishes_during_the_scan_does_not_stop_it(
    cli: Cli, cell_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = tmp_path / "slide"
    slide.mkdir()
    for name in ("a.png", "b.png"):
        (slide / name).write_bytes(cell_png.read_bytes())

    def forget(*_: object) -> None:
        (slide / "a.png").unlink(missing_ok=True)

    monkeypatch.setattr("malscan.cli.scan_display.ScanBar.__call__", forget)

    result = cli("scan", slide, "--out", tmp_path / "r.html", "--montage", tmp_path / "sheets")

    assert result.code == 0, result.err
    text = (tmp_path / "r.html").read_text()
    assert text.count("<img ") == 1
    assert "no such file or directory" in text


def test_a_montage_where_it_would_be_scanned_is_wrong_usage(
    cli: Cli, slides: Path, tmp_path: Path
) -> None:
    result = cli("scan", slides, "--out", tmp_path / "r.csv", "--montage", slides / "sheets")

    assert result.code == 2
    assert "the next scan would take the sheets for cells" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["chapter.tex", ".git"])
def test_a_montage_in_place_of_other_things_is_refused_before_any_work(
    cli: Cli, slides: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / name).touch()
    monkeypatch.setattr("malscan.scan.Watched", None)

    result = cli("scan", slides, "--out", tmp_path / "r.csv", "--montage", tmp_path / "thesis")

    assert result.code == 1
    assert "holds other things than a montage" in result.err
    assert (tmp_path / "thesis" / name).exists()
    assert not (tmp_path / "r.csv").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_two_runs_do_not_spoil_one_montage(cli: Cli, slides: Path, tmp_path: Path) -> None:
    with locked([tmp_path / "sheets"]):
        result = cli("scan", slides, "--out", tmp_path / "r.csv", "--montage", tmp_path / "sheets")

    assert result.code == 75


def test_pages_and_sheets_do_not_load_tensorflow() -> None:
    code = (
        "import sys; from malscan.report.html import HtmlReport; "
        "from malscan.report.montage import Montage; print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
