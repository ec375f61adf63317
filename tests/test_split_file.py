"""split.csv: what is written is read back, and what does not match the data is told."""

from pathlib import Path

import pandas as pd
import pytest

from malscan.dataset import LabelledCells
from malscan.errors import MalscanError
from malscan.labels import PARASITIZED, UNINFECTED
from malscan.split import Split
from malscan.split_file import read_split, write_split
from malscan.walk import CellImage

ROOT = Path("/data/cells")


def cell(name: str, label: str = PARASITIZED, patient: str | None = "C1") -> CellImage:
    return CellImage(f"{ROOT}/{name}", "s", None, label, patient)


def six() -> list[CellImage]:
    """Two cells of each of three patients, one of each class."""
    return [
        cell(f"{label}/C{i}.png", label, f"C{i}")
        for label in (UNINFECTED, PARASITIZED)
        for i in (1, 2, 3)
    ]


def split_of(cells: list[CellImage]) -> Split:
    """C1 to train, C2 to validation, C3 to test."""
    of = {name: [c for c in cells if c.patient == name] for name in ("C1", "C2", "C3")}
    return Split(of["C1"], of["C2"], of["C3"])


def labelled(cells: list[CellImage]) -> LabelledCells:
    return LabelledCells(cells, ROOT, [])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "split.csv"
    write_split(path, split_of(six()), labelled(six()))
    return path


def read(path: Path, cells: list[CellImage], *, straddle: bool = False) -> Split:
    return read_split(path, labelled(cells), patients_may_straddle=straddle)


def test_it_has_a_row_for_each_cell_in_the_order_of_the_data(file: Path) -> None:
    table = pd.read_csv(file)
    assert list(table.columns) == ["path", "label", "patient", "part"]
    assert list(table["path"]) == [c.path.removeprefix(f"{ROOT}/") for c in six()]
    assert list(table["part"]) == ["train", "validation", "test"] * 2
    assert list(table["patient"]) == ["C1", "C2", "C3"] * 2


def test_what_is_written_is_read_back(file: Path) -> None:
    assert read(file, six()) == split_of(six())


def test_it_holds_for_data_that_has_moved(file: Path) -> None:
    moved = [
        CellImage(c.path.replace("/data/", "/elsewhere/"), "s", None, c.label, c.patient)
        for c in six()
    ]
    found = read_split(
        file, LabelledCells(moved, Path("/elsewhere/cells"), []), patients_may_straddle=False
    )
    assert found == split_of(moved)


@pytest.mark.parametrize(
    "name",
    [
        "a,b.png",
        'quo"ted.png',
        "two\nlines.png",
        "carriage\rreturn.png",
        "caf\udce9.png",
        "é.png",
        "NA",
        " space .png",
        "\u2028.png",
        "#hash.png",
    ],
)
def test_any_name_of_a_file_comes_back(name: str, tmp_path: Path) -> None:
    cells = [*six(), cell(name)]
    split = split_of(cells)
    write_split(tmp_path / "split.csv", split, labelled(cells))
    assert read(tmp_path / "split.csv", cells) == split


def test_a_cell_without_patient_has_an_empty_entry(tmp_path: Path) -> None:
    cells = [cell(f"{i}.png", label, None) for i, label in enumerate([PARASITIZED, UNINFECTED] * 2)]
    split = Split(cells[:2], cells[2:], [])
    write_split(tmp_path / "split.csv", split, labelled(cells))
    assert read(tmp_path / "split.csv", cells, straddle=True) == split
    assert pd.read_csv(tmp_path / "split.csv")["patient"].isna().all()


def test_an_image_that_is_not_in_it_is_named(file: Path) -> None:
    with pytest.raises(MalscanError, match=r"1 images are not in it, such as new\.png\. Make"):
        read(file, [*six(), cell("new.png")])


def test_an_image_that_is_gone_is_named(file: Path) -> None:
    with pytest.raises(
        MalscanError, match=r"1 of its images are not there, such as parasitized/C3"
    ):
        read(file, six()[:-1])


def test_another_label_is_told(file: Path) -> None:
    cells = six()
    cells[0] = cell("uninfected/C1.png", PARASITIZED, "C1")
    with pytest.raises(
        MalscanError, match=r"uninfected/C1\.png is uninfected there and parasitized in the data"
    ):
        read(file, cells)


def test_a_patient_in_two_parts_is_told_unless_the_split_is_by_cell(file: Path) -> None:
    file.write_text(
        file.read_text()
        .replace(
            "parasitized/C2.png,parasitized,C2,validation", "parasitized/C2.png,parasitized,C2,test"
        )
        .replace(
            "parasitized/C3.png,parasitized,C3,test", "parasitized/C3.png,parasitized,C3,validation"
        )
    )
    with pytest.raises(MalscanError, match=r"2 patients in two parts, such as C2.*--split cell"):
        read(file, six())
    assert len(read(file, six(), straddle=True).test) == 2


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_that_lacks_a_class_is_told(part: str, file: Path) -> None:
    name = {"train": "C1", "validation": "C2"}[part]
    row = f"parasitized/{name}.png,parasitized,{name},"
    file.write_text(file.read_text().replace(f"{row}{part}", f"{row}test"))
    with pytest.raises(MalscanError, match=f"the {part} part lacks a class"):
        read(file, six(), straddle=True)


def test_an_unknown_part_is_told(file: Path) -> None:
    file.write_text(file.read_text().replace("C3,test", "C3,Test"))
    with pytest.raises(
        MalscanError, match=r"unknown part 'Test'\. Write train, validation or test"
    ):
        read(file, six())


@pytest.mark.parametrize("column", ["path", "label", "part"])
def test_a_missing_column_is_told(column: str, file: Path) -> None:
    file.write_text(file.read_text().replace(column, "other", 1))
    with pytest.raises(MalscanError, match=f"is no split: it has no column {column}"):
        read(file, six())


@pytest.mark.parametrize("content", [b"", b'path,label,part\n"x'])
def test_a_file_that_is_no_table_is_told(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(MalscanError, match="split"):
        read(file, six())


def test_a_cell_that_stands_in_two_parts_is_told(file: Path) -> None:
    file.write_text(file.read_text() + "parasitized/C1.png,parasitized,C1,test\n")
    with pytest.raises(MalscanError, match="twice"):
        read(file, six(), straddle=True)
