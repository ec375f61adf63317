"""Labelled cells and lists of patients, as they lie on disk."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from draw_cells import draw_labelled

from malscan.dataset import labelled_cells, read_patient_list, with_known_patient
from malscan.errors import ExitCode, MalscanError, UsageError
from malscan.walk import CellImage


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


class TestKnownPatients:
    def test_cells_of_known_patients_pass_unchanged(self, labelled: Path) -> None:
        cells = labelled_cells(labelled).cells
        assert with_known_patient(iter(cells)) == cells

    def test_a_cell_of_an_unknown_patient_is_an_error_that_names_it(self) -> None:
        known = CellImage("C1_IMG_1.png", "s", None, "uninfected", "C1")
        unknown = CellImage("Uninfected/cell.png", "s", None, "uninfected", None)
        with pytest.raises(MalscanError, match=r"no patient known for Uninfected/cell\.png"):
            with_known_patient([known, unknown])


class TestPatientList:
    def test_comments_and_empty_lines_do_not_count(self, tmp_path: Path) -> None:
        path = tmp_path / "patients.txt"
        path.write_text("# the test patients\nC1\n\n  C12  \nC3 # two microscopes\n#C4\r\nC1\n")
        assert read_patient_list(path) == {"C1", "C12", "C3"}

    @pytest.mark.parametrize("content", ["", "\n \n", "# nobody\n"])
    def test_a_list_that_names_nobody_is_an_error(self, content: str, tmp_path: Path) -> None:
        path = tmp_path / "patients.txt"
        path.write_text(content)
        with pytest.raises(MalscanError, match=r"patients\.txt names no patient"):
            read_patient_list(path)

    def test_a_missing_list_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(MalscanError, match=r"cannot read the patient list .*nobody\.txt"):
            read_patient_list(tmp_path / "nobody.txt")

    def test_a_list_that_is_no_text_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        path = tmp_path / "patients.txt"
        path.write_bytes(b"\xff\xfe\x00C1")
        with pytest.raises(MalscanError, match=r"cannot read the patient list .*patients\.txt"):
            read_patient_list(path)


def test_a_folder_name_above_the_data_labels_nothing(tmp_path: Path) -> None:
    data = tmp_path / "positive" / "cells"
    count = draw_labelled(data, 4, 8, seed=2, size=24)
    (data / "extra").mkdir()
    shutil.copy(next(data.rglob("*.png")), data / "extra")

    found = labelled_cells(data)

    assert len(found.cells) == count
    assert found.notes == ["left out 1 images that lie in no class folder"]
