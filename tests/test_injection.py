"""Names that would like to be more than names stay text: in every report, and on the terminal.

What a browser makes of the HTML report is in `test_report_browser.py`.
"""

import csv
import io
import json
import os
import shutil
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from conftest import Cli
from draw_cells import draw_slides

from malscan.model import EMBEDDED

EVIL = [
    "<script>alert(1)<|script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}{% raw %}",
    "=HYPERLINK(0)",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "[red]bold[|red]",
    "a\nTOTAL 0 0",
    "photo\u202egnp",
    "\u2066\u200f",
    "javascript:alert(1)",
    "%s%n${HOME}$(id)`id`",
    "a,b;c|d",
]
TURNING = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}


def is_harmless(text: str) -> bool:
    """Whether a terminal shows it as it stands: no control character, nothing that turns a line."""
    return not any(
        (unicodedata.category(sign) == "Cc" and sign != "\n")
        or unicodedata.bidirectional(sign) in TURNING
        for sign in text
    )


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a slide for each name, which its one cell has, too; every third is damaged."""
    work = tmp_path_factory.mktemp("evil")
    draw_slides(work / "drawn", {"s": (1, 0)}, seed=3, size=40)
    cell = next((work / "drawn").rglob("*.png")).read_bytes()
    for number, name in enumerate(EVIL):
        folder = work / "slides" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.png").write_bytes(cell[: 200 if number % 3 == 2 else None])
    return work


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The embedded model under a name that is none."""
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED, folder)
    facts = json.loads((folder / "model.json").read_text())
    facts["name"] = "=evil\x1b[31m\u202e<b>[red]"
    (folder / "model.json").write_text(json.dumps(facts))
    return folder


class Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def test_names_stay_text_in_every_report_and_on_the_terminal(
    cli: Cli, evil: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(evil / "slides")
    outs = [f"{tmp_path}/r.{kind}" for kind in ("csv", "json", "jsonl", "parquet", "html")]
    options = [part for out in outs for part in ("--out", out)]

    result = cli(
        *("scan", ".", *options, "--verbose", "--model", model),
        *("--montage", tmp_path / "sheets", "--failed-to", tmp_path / "failed", "-0"),
        *("--log-file", tmp_path / "log"),
    )

    assert result.code == 3, result.err
    assert is_harmless(result.err)
    assert is_harmless((tmp_path / "log").read_text())
    names = {f"./{name}/{name}.png" for name in EVIL}
    rows = pd.read_csv(tmp_path / "r.csv", keep_default_na=False, dtype=str)
    assert set(rows.path) == names
    for name in ("r.csv", "r.summary.csv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    images = json.loads((tmp_path / "r.json").read_text())["images"]
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert {image["path"] for image in images} == names
    assert lines == images
    assert set(pd.read_parquet(tmp_path / "r.parquet").path) == names
    failed = (tmp_path / "failed").read_bytes().split(b"\0")
    assert {os.fsdecode(path) for path in failed} - {""} == {
        row.path for row in rows.itertuples() if row.status == "failed"
    }
    assert all(is_harmless(path.name) and "<" not in path.name for path in tmp_path.rglob("*"))
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert len([tag for tag, _ in page.elements if tag == "script"]) == 1
    attributes = [name for _, attrs in page.elements for name in attrs]
    assert not [name for name in attributes if name.startswith("on")]
    sources = {str(attrs.get("src"))[:10] for tag, attrs in page.elements if tag == "img"}
    assert sources == {"data:image"}
    assert is_harmless((tmp_path / "r.html").read_text(encoding="utf-8").replace("\t", ""))


def test_names_stay_text_in_a_dry_run(
    cli: Cli, evil: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(evil / "slides")

    result = cli("scan", ".", "--out", tmp_path / "\x1b[2J\n.csv", "--dry-run", "--model", model)

    assert result.code == 0, result.err
    assert is_harmless(result.err)
    assert r"\x1b[2J" in result.err
    # A line end in a name does not begin a line of its own.
    assert not [line for line in result.err.splitlines() if line.startswith("TOTAL 0 0")]


@pytest.mark.parametrize("name", ["\x1b[2J\u202e", "a\nmalscan: done"])
def test_names_stay_text_in_an_error(cli: Cli, name: str, tmp_path: Path) -> None:
    for arguments in (
        (tmp_path / name, "--out", tmp_path / "r.csv"),
        (tmp_path, "--out", tmp_path / "r.csv", "--model", tmp_path / f"{name}.keras"),
        (tmp_path, "--out", tmp_path / f"{name}.txt"),
    ):
        result = cli("scan", *arguments)
        assert result.code == 2
        assert is_harmless(result.err)
        assert result.err.count("\n") == 1
    assert io.StringIO(result.err).readline().startswith("malscan: ")
