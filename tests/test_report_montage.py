"""Contact sheets: whole or not there, never in place of anything else, and legible."""

import csv
import errno
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_report import MODEL, SETTINGS, failed_row, image_row, summary_of

from malscan.errors import MalscanError, UsageError
from malscan.report import montage
from malscan.report.gallery import Tile
from malscan.report.montage import INDEX, Montage
from malscan.report.names import check_montage
from malscan.report.row import Row, written
from malscan.report.sheet import WIDTH, TileGroup, draw_sheet


def fill(sheets: Montage, rows: list[Row]) -> None:
    sheets.write(rows)
    sheets.finish(MODEL, SETTINGS, summary_of(rows))


def drawn(folder: Path, rows: list[Row]) -> Path:
    sheets = Montage(folder)
    fill(sheets, rows)
    sheets.publish()
    sheets.discard()
    return folder


def index_of(folder: Path) -> dict[str, str]:
    """Sheets by slide."""
    with (folder / INDEX).open(newline="", encoding="utf-8") as file:
        return {row["slide"]: row["sheet"] for row in csv.DictReader(file)}


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def rows_of(*slides: str) -> list[Row]:
    return [image_row("gone.png", slide, 0.9) for slide in slides]


def blot(path: Path, colour: tuple[int, int, int]) -> str:
    Image.new("RGB", (60, 60), colour).save(path)
    return str(path)


def count_of(sheet: Path, colour: tuple[int, int, int]) -> int:
    with Image.open(sheet) as image:
        return int((np.asarray(image.convert("RGB")) == colour).all(axis=2).sum())


def test_each_slide_has_a_sheet_with_its_cells(tmp_path: Path) -> None:
    red, blue = (200, 30, 40), (30, 40, 200)
    rows = [
        image_row(blot(tmp_path / "a.png", red), "s1", 0.9),
        image_row(blot(tmp_path / "b.png", blue), "s2", 0.2),
        image_row(str(tmp_path / "b.png"), "s2", 0.3),
        failed_row("c.png", "s2"),
    ]

    folder = drawn(tmp_path / "sheets", rows)

    assert index_of(folder) == {"s1": "s1.png", "s2": "s2.png"}
    assert entries(folder) == ["s1.png", "s2.png", INDEX]
    assert (count_of(folder / "s1.png", red), count_of(folder / "s1.png", blue)) == (3600, 0)
    assert (count_of(folder / "s2.png", red), count_of(folder / "s2.png", blue)) == (0, 7200)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path, cell_png: Path) -> None:
    rows = [image_row(str(cell_png), "s1", 0.9), failed_row("c.png", "s1")]
    one, two = (drawn(tmp_path / name, rows) for name in ("one", "two"))
    assert [(one / name).read_bytes() for name in entries(one)] == [
        (two / name).read_bytes() for name in entries(two)
    ]


def test_there_are_only_so_many_sheets_of_the_slides_most_surely_parasitized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(montage, "SLIDES_SHOWN", 3)
    shares = {"s1": 0.1, "s2": 0.9, "s3": 0.1, "s4": 0.9, "s5": 0.9}
    rows = [image_row("gone.png", slide, share) for slide, share in shares.items()]
    folder = drawn(tmp_path / "sheets", rows)
    assert list(index_of(folder)) == ["s2", "s4", "s5"]
    assert entries(folder) == ["s2.png", "s4.png", "s5.png", INDEX]


def test_names_of_sheets_are_safe_short_stable_and_apart(tmp_path: Path) -> None:
    slides = [
        "plain-slide_1",
        *("a/b", "a_b", "../../etc/passwd", "..", "=cmd", "nul\x00", "new\nline", "x" * 5000),
        *("Case", "case", "細胞", "細", "photo\u202egnp", "sheets.csv", ".hidden"),
    ]
    index = index_of(drawn(tmp_path / "one", rows_of(*slides)))

    assert list(index) == [written(slide) for slide in slides]
    assert index["plain-slide_1"] == "plain-slide_1.png"
    assert len({name.lower() for name in index.values()}) == len(slides)
    for name in index.values():
        assert name.isascii()
        assert len(name) < 120
        assert not set(name) & set('/\\:*?"<>| \n\0')
        assert name[0] not in ".-"
        assert (tmp_path / "one" / name).is_file()
    assert entries(tmp_path) == ["one"]
    fewer = index_of(drawn(tmp_path / "two", rows_of("a/b", "..")))
    assert fewer == {slide: index[slide] for slide in ("a/b", "..")}


def test_a_summary_alone_gives_no_sheets(tmp_path: Path) -> None:
    sheets = Montage(tmp_path / "sheets")
    sheets.finish(MODEL, SETTINGS, summary_of(rows_of("s1")))
    sheets.publish()
    assert entries(tmp_path / "sheets") == [INDEX]


class TestWholeOrNotAtAll:
    def test_an_older_montage_stays_until_the_new_one_replaces_it(self, tmp_path: Path) -> None:
        folder = drawn(tmp_path / "sheets", rows_of("old"))
        sheets = Montage(folder)
        fill(sheets, rows_of("new"))
        assert entries(folder) == ["old.png", INDEX]
        sheets.publish()
        sheets.discard()
        assert entries(folder) == ["new.png", INDEX]
        assert entries(tmp_path) == ["sheets"]

    def test_discarding_leaves_nothing(self, tmp_path: Path) -> None:
        Montage(tmp_path / "one").discard()
        sheets = Montage(tmp_path / "two")
        fill(sheets, rows_of("s"))
        sheets.discard()
        assert entries(tmp_path) == []

    def test_a_folder_with_other_things_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis/chapter-1.tex").touch()
        with pytest.raises(MalscanError, match=r"holds other things.*Name another folder"):
            Montage(tmp_path / "thesis")
        assert entries(tmp_path) == ["thesis"]
        assert entries(tmp_path / "thesis") == ["chapter-1.tex"]

    def test_what_was_put_beside_the_sheets_is_not_lost(self, tmp_path: Path) -> None:
        folder = drawn(tmp_path / "sheets", rows_of("s"))
        for harmless in (".DS_Store", "Thumbs.db"):
            (folder / harmless).touch()
        Montage(folder).discard()
        (folder / "my notes.txt").touch()
        with pytest.raises(MalscanError, match="holds other things"):
            Montage(folder)

    def test_an_empty_folder_will_do_and_a_file_will_not(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert index_of(drawn(tmp_path / "empty", rows_of("s"))) == {"s": "s.png"}
        (tmp_path / "file").touch()
        with pytest.raises(MalscanError, match="it is no folder"):
            Montage(tmp_path / "file")

    def test_where_there_is_no_folder_the_message_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(MalscanError, match=r"missing/sheets: No such file"):
            Montage(tmp_path / "missing/sheets")

    @pytest.mark.parametrize("full", ["TemporaryFile", "save"])
    @pytest.mark.fault("a full disk")
    def test_a_full_disk_is_told_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
    ) -> None:
        def no_room(*args: object, **kwargs: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Image.Image if full == "save" else tempfile, full, no_room)
        with pytest.raises(MalscanError, match=r"cannot write .*sheets: No space left"):
            sheets = Montage(tmp_path / "sheets")
            try:
                fill(sheets, rows_of("s"))
            finally:
                sheets.discard()
        assert entries(tmp_path) == []


class TestPlace:
    def test_it_must_not_lie_where_the_next_scan_would_find_it(self, tmp_path: Path) -> None:
        (tmp_path / "slides").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "slides")
        paths = [str(tmp_path / "slides")]
        for folder in ("slides", "slides/sheets", "link/sheets", "x/../slides/sheets"):
            with pytest.raises(UsageError, match="the next scan would take the sheets for cells"):
                check_montage(tmp_path / folder, [], paths)
        check_montage(tmp_path / "slides-montage", ["-"], paths)

    def test_no_report_may_lie_in_it(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"r\.csv lies in --montage"):
            check_montage(tmp_path / "out", [str(tmp_path / "out/r.csv")], [])
        with pytest.raises(UsageError, match="lies in --montage"):
            check_montage(tmp_path / "r.html", [str(tmp_path / "r.html")], [])
        check_montage(tmp_path / "out", [str(tmp_path / "out.csv")], [])


class TestSheet:
    def height(self, *tiles: Tile, title: str = "s") -> int:
        picture = draw_sheet(title, ["a line"], [TileGroup("kind", "note", tiles)], ["footer"])
        assert picture.width == WIDTH
        return picture.height

    def test_it_grows_with_its_rows_of_tiles(self) -> None:
        tile = Tile("a.png", "0.9000", "parasitized", None, Image.new("RGB", (128, 128)))
        assert self.height(*[tile] * 6) == self.height(tile)
        assert self.height(*[tile] * 7) > self.height(tile) + 128

    def test_long_names_and_reasons_take_more_lines_but_not_without_end(self) -> None:
        def tile(text: str) -> Tile:
            return Tile(text, None, None, text, None)

        short, long = self.height(tile("a")), self.height(tile("W" * 60))
        assert short < long
        assert self.height(tile("W" * 6000)) < long + 200
        assert self.height(title="W" * 5000) < self.height() + 100

    def test_letters_that_the_font_lacks_are_drawn_by_their_number(self) -> None:
        def letters(name: str) -> bytes:
            buffer = io.BytesIO()
            draw_sheet(name, [], [], []).save(buffer, "PNG")
            return buffer.getvalue()

        assert letters("\u60a3") == letters(r"\u60a3")
        assert letters("\u00e9") != letters(r"\xe9")
