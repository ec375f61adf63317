"""Labelled cells, as class folders and as tables."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from draw_cells import draw_labelled

from malscan.dataset import LabelledCells
from malscan.dataset import labelled_cells as read_labelled
from malscan.errors import ExitCode, MalscanError, UsageError
from malscan.settings import DataSettings


def labelled_cells(data: Path, positive: str | None = None) -> LabelledCells:
    return read_labelled(DataSettings(data, positive))


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Six parasitized and six uninfected drawn cells of four patients."""
    draw_labelled(tmp_path / "data", patients=4, cells_per_class=6, seed=1, size=20)
    return tmp_path / "data"


class TestLabelledCells:
    def test_every_cell_has_the_class_of_its_folder(self, labelled: Path) -> None:
        cells = labelled_cells(labelled).cells
        assert Counter(cell.label for cell in cells) == {"parasitized": 6, "uninfected": 6}
        assert {(Path(cell.path).parent.name, cell.label) for cell in cells} == {
            ("Parasitized", "parasitized"),
            ("Uninfected", "uninfected"),
        }

    def test_every_cell_has_the_patient_that_its_name_tells(self, labelled: Path) -> None:
        cells = labelled_cells(labelled).cells
        assert {cell.patient for cell in cells} == {"C1", "C2", "C3", "C4"}
        assert all(Path(cell.path).name.startswith(str(cell.patient)) for cell in cells)

    def test_a_name_that_tells_no_patient_leaves_the_patient_open(self, labelled: Path) -> None:
        shutil.copy(labelled_cells(labelled).cells[0].path, labelled / "Uninfected" / "cell.png")
        assert [cell.patient for cell in labelled_cells(labelled).cells].count(None) == 1

    def test_class_folders_count_under_other_names_and_at_any_depth(self, labelled: Path) -> None:
        deep = labelled / "batch 1" / "deep"
        deep.mkdir(parents=True)
        (labelled / "Parasitized").rename(deep / "POSITIVE")
        (labelled / "Uninfected").rename(labelled / "healthy")
        counts = Counter(cell.label for cell in labelled_cells(labelled).cells)
        assert counts == {"parasitized": 6, "uninfected": 6}

    def test_images_outside_class_folders_are_left_out(self, labelled: Path) -> None:
        (labelled / "extra").mkdir()
        shutil.copy(labelled_cells(labelled).cells[0].path, labelled / "extra")
        assert len(labelled_cells(labelled).cells) == 12

    @pytest.mark.parametrize("name", ["Parasitized", "Uninfected"])
    def test_a_missing_class_is_an_error_that_names_it(self, name: str, labelled: Path) -> None:
        shutil.rmtree(labelled / name)
        with pytest.raises(MalscanError, match=f"no {name.lower()} cells") as caught:
            labelled_cells(labelled)
        assert str(labelled) in str(caught.value)

    def test_a_missing_folder_is_wrong_usage(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no such file or folder") as caught:
            labelled_cells(tmp_path / "nowhere")
        assert caught.value.exit_code == ExitCode.USAGE


def test_a_folder_name_above_the_data_labels_nothing(tmp_path: Path) -> None:
    data = tmp_path / "positive" / "cells"
    count = draw_labelled(data, 4, 8, seed=2, size=24)
    (data / "extra").mkdir()
    shutil.copy(next(data.rglob("*.png")), data / "extra")

    found = labelled_cells(data)

    assert len(found.cells) == count
    assert found.notes == ["left out 1 images that lie in no class folder"]


class TestMistypedNamesOfClasses:
    @pytest.mark.parametrize("name", ["Uninfekted", "uninfectd", "Un-infected"])
    def test_a_folder_that_is_nearly_called_like_the_missing_class_is_named(
        self, labelled: Path, name: str
    ) -> None:
        (labelled / "Uninfected").rename(labelled / name)
        with pytest.raises(MalscanError, match=f"{name} looks like uninfected: rename it"):
            labelled_cells(labelled)

    def test_the_british_spelling_is_a_class(self, labelled: Path) -> None:
        (labelled / "Parasitized").rename(labelled / "parasitised")
        assert len(labelled_cells(labelled).cells) == 12

    def test_a_third_folder_that_is_nearly_called_like_a_class_is_no_silent_loss(
        self, labelled: Path
    ) -> None:
        shutil.copytree(labelled / "Parasitized", labelled / "Parasitizd")
        assert labelled_cells(labelled).notes == [
            "left out 6 images that lie in no class folder; Parasitizd looks like parasitized"
        ]

    def test_a_mistyped_label_of_a_table_is_told_with_what_was_meant(self, tmp_path: Path) -> None:
        table = tmp_path / "cells.csv"
        table.write_text("path,label\na.png,uninfected\nb.png,parasitzed\n")
        with pytest.raises(MalscanError, match=r"line 3: .* Did you mean parasitized\?"):
            labelled_cells(table)


class TestNameOfThePositiveClass:
    @pytest.fixture
    def renamed(self, labelled: Path) -> Path:
        (labelled / "Parasitized").rename(labelled / "sick")
        (labelled / "Uninfected").rename(labelled / "well")
        return labelled

    def test_the_other_folder_then_means_uninfected(self, renamed: Path) -> None:
        cells = labelled_cells(renamed, "sick").cells
        assert {(Path(cell.path).parent.name, cell.label) for cell in cells} == {
            ("sick", "parasitized"),
            ("well", "uninfected"),
        }
        assert len(cells) == 12

    def test_without_it_the_message_names_the_folders_and_the_option(self, renamed: Path) -> None:
        with pytest.raises(MalscanError, match=r"--positive\. Folders there: sick, well"):
            labelled_cells(renamed)

    def test_a_slip_of_the_name_is_told(self, renamed: Path) -> None:
        with pytest.raises(MalscanError, match="one of them Sick; there are: sick, well"):
            labelled_cells(renamed, "Sick")

    def test_a_third_folder_is_told(self, renamed: Path) -> None:
        (renamed / "doubtful").mkdir()
        with pytest.raises(MalscanError, match=r"needs two folders .* doubtful, sick, well"):
            labelled_cells(renamed, "sick")

    def test_a_folder_below_a_class_folder_does_not_label(self, renamed: Path) -> None:
        (renamed / "well" / "sick").mkdir()
        shutil.copy(next((renamed / "well").glob("*.png")), renamed / "well/sick/cell.png")
        counts = Counter(cell.label for cell in labelled_cells(renamed, "sick").cells)
        assert counts == {"parasitized": 6, "uninfected": 7}


class TestTable:
    def table(self, folder: Path, *rows: str, header: str = "path,label,patient") -> Path:
        path = folder / "cells.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    def test_rows_give_path_label_and_patient_in_the_order_of_the_table(
        self, tmp_path: Path
    ) -> None:
        found = labelled_cells(
            self.table(tmp_path, "b/2.png,Uninfected,p1", "a/1.png,parasitized,", "3.png,healthy,7")
        )
        assert [(cell.path, cell.label, cell.patient) for cell in found.cells] == [
            (f"{tmp_path}/b/2.png", "uninfected", "p1"),
            (f"{tmp_path}/a/1.png", "parasitized", None),
            (f"{tmp_path}/3.png", "uninfected", "7"),
        ]
        assert [found.name(cell) for cell in found.cells] == ["b/2.png", "a/1.png", "3.png"]
        assert found.notes == []

    def test_absolute_paths_stay_as_they_are(self, tmp_path: Path) -> None:
        found = labelled_cells(
            self.table(tmp_path, "/elsewhere/1.png,infected,1", f"{tmp_path}/2.png,negative,1")
        )
        assert [cell.path for cell in found.cells] == ["/elsewhere/1.png", f"{tmp_path}/2.png"]
        assert [found.name(cell) for cell in found.cells] == ["/elsewhere/1.png", "2.png"]

    def test_a_relative_table_gives_relative_paths(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.table(tmp_path, "a/1.png,infected,1", "2.png,negative,1")
        monkeypatch.chdir(tmp_path)
        found = labelled_cells(Path("cells.csv"))
        assert [cell.path for cell in found.cells] == ["a/1.png", "2.png"]
        assert [found.name(cell) for cell in found.cells] == ["a/1.png", "2.png"]

    def test_the_header_may_be_written_in_any_case_and_with_spaces(self, tmp_path: Path) -> None:
        found = labelled_cells(
            self.table(
                tmp_path, "\ufeffx,1.png,positive", "y,2.png,negative", header="Slide, PATH ,Label"
            )
        )
        assert [cell.path for cell in found.cells] == [f"{tmp_path}/1.png", f"{tmp_path}/2.png"]

    def test_a_byte_order_mark_does_not_hide_a_column(self, tmp_path: Path) -> None:
        table = self.table(tmp_path, "1.png,positive", "2.png,negative", header="\ufeffpath,label")
        assert len(labelled_cells(table).cells) == 2

    def test_names_of_the_archive_tell_the_patient_where_no_column_does(
        self, tmp_path: Path
    ) -> None:
        found = labelled_cells(
            self.table(
                tmp_path, "C12P3_IMG_1.png,positive", "C7_IMG_2.png,negative", header="path,label"
            )
        )
        assert [cell.patient for cell in found.cells] == ["C12", "C7"]

    def test_a_pattern_that_was_asked_for_goes_before_the_column(self, tmp_path: Path) -> None:
        table = self.table(tmp_path, "k1/1.png,positive,x", "k2/2.png,negative,x")
        found = read_labelled(DataSettings(table, patient_pattern=r"k\d"))
        assert [cell.patient for cell in found.cells] == ["k1", "k2"]

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("path,class", "has no column label"),
            ("file,label", "has no column path"),
            ("file,class", "has no column label and no column path"),
        ],
    )
    def test_a_missing_column_is_told(self, header: str, message: str, tmp_path: Path) -> None:
        with pytest.raises(MalscanError, match=rf"cells\.csv {message}"):
            labelled_cells(self.table(tmp_path, "1.png,positive", header=header))

    def test_an_unknown_label_is_told_with_its_line(self, tmp_path: Path) -> None:
        table = self.table(tmp_path, "1.png,positive,1", "2.png,negative,1", "3.png,maybe,1")
        with pytest.raises(MalscanError, match=r"cells\.csv, line 4: the label 'maybe'"):
            labelled_cells(table)

    def test_the_label_that_means_parasitized_can_be_named(self, tmp_path: Path) -> None:
        table = self.table(tmp_path, "1.png,yes,1", "2.png,no,1")
        assert [cell.label for cell in labelled_cells(table, "yes").cells] == [
            "parasitized",
            "uninfected",
        ]

    @pytest.mark.parametrize("positive", ["Yes", "1"])
    def test_a_label_that_is_not_there_cannot_be_positive(
        self, positive: str, tmp_path: Path
    ) -> None:
        table = self.table(tmp_path, "1.png,yes,1", "2.png,no,1")
        with pytest.raises(MalscanError, match="there are: no, yes"):
            labelled_cells(table, positive)

    def test_one_positive_label_among_three_is_told(self, tmp_path: Path) -> None:
        table = self.table(tmp_path, "1.png,yes,1", "2.png,no,1", "3.png,unsure,1")
        with pytest.raises(MalscanError, match="there are: no, unsure, yes"):
            labelled_cells(table, "yes")

    def test_repeated_rows_count_once(self, tmp_path: Path) -> None:
        found = labelled_cells(
            self.table(tmp_path, "1.png,yes,1", "2.png,no,1", "./1.png,yes,1"), "yes"
        )
        assert len(found.cells) == 2
        assert found.notes == ["left out 1 rows that repeat a path"]

    @pytest.mark.parametrize("again", ["1.png,negative,1", "1.png,positive,2"])
    def test_repeated_rows_that_contradict_each_other_are_an_error(
        self, again: str, tmp_path: Path
    ) -> None:
        table = self.table(tmp_path, "1.png,positive,1", "2.png,negative,1", again)
        with pytest.raises(MalscanError, match=r"1\.png stands there twice"):
            labelled_cells(table)

    def test_names_may_hold_commas_newlines_and_bytes_that_are_no_utf_8(
        self, tmp_path: Path
    ) -> None:
        names = ["a,b.png", "two\nlines.png", "caf\udce9.png", "NA"]
        rows = [f'"{name}",{"positive" if i % 2 else "negative"}' for i, name in enumerate(names)]
        path = tmp_path / "cells.csv"
        path.write_bytes("\n".join(["path,label", *rows]).encode(errors="surrogateescape"))
        found = labelled_cells(path)
        assert [found.name(cell) for cell in found.cells] == names

    @pytest.mark.parametrize(
        "content", [b"", b'path,label\n"1.png,positive\n', b"\x89PNG\r\n\x1a\n\0\0"]
    )
    def test_a_file_that_is_no_table_is_told(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "cells.csv"
        path.write_bytes(content)
        with pytest.raises(MalscanError, match=r"the table .*cells\.csv"):
            labelled_cells(path)

    def test_a_class_without_rows_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(MalscanError, match=r"no uninfected cells in .*cells\.csv.*label"):
            labelled_cells(self.table(tmp_path, "1.png,positive,1"))

    def test_a_row_of_too_many_entries_is_told(self, tmp_path: Path) -> None:
        rows = ["1.png,positive,1", "2.png,negative,1"]
        with pytest.raises(MalscanError, match=r"cells\.csv, line 2: the label '1'"):
            labelled_cells(self.table(tmp_path, *rows, header="path,label"))
