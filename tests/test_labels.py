"""Tests of what folder and file names say about a cell."""

import pytest

from malscan.labels import (
    CLASSES,
    PARASITIZED,
    UNINFECTED,
    class_of_folder,
    class_of_path,
    patient_of_path,
)


def test_parasitized_is_output_0_and_uninfected_is_output_1() -> None:
    assert CLASSES == ("parasitized", "uninfected")


@pytest.mark.parametrize("name", ["Parasitized", "parasitized", "PARASITIZED", "pArAsItIsEd"])
def test_a_folder_name_stands_for_parasitized_in_any_case(name: str) -> None:
    assert class_of_folder(name) == PARASITIZED


@pytest.mark.parametrize("name", ["Uninfected", "uninfected", "UNINFECTED", "UnParasitized"])
def test_a_folder_name_stands_for_uninfected_in_any_case(name: str) -> None:
    assert class_of_folder(name) == UNINFECTED


@pytest.mark.parametrize("name", ["", "s1", "cell_images", "not parasitized", "Parasitized2"])
def test_other_folder_names_stand_for_no_class(name: str) -> None:
    assert class_of_folder(name) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Parasitized/a.png", PARASITIZED),
        ("/data/UNINFECTED/a.png", UNINFECTED),
        ("data/Uninfected/slide 1/deep/a.png", UNINFECTED),
        ("Uninfected/Parasitized/a.png", PARASITIZED),
        ("Parasitized/x/Uninfected/y/a.png", UNINFECTED),
    ],
)
def test_the_nearest_class_folder_above_an_image_gives_its_class(path: str, expected: str) -> None:
    assert class_of_path(path) == expected


@pytest.mark.parametrize("path", ["a.png", "s1/a.png", "data/Parasitized", "parasitized.png"])
def test_an_image_under_no_class_folder_has_no_class(path: str) -> None:
    assert class_of_path(path) is None


@pytest.mark.parametrize(
    ("slide", "patient"),
    [
        ("C1_thinF", "C1"),
        ("C37BP2_thinF", "C37"),
        ("C68P29N_ThinF", "C68"),
        ("C167P128ReThinF", "C167"),
        ("C7NthinF", "C7"),
        ("C33P1thinF", "C33"),
        ("C47P8thinOriginalOlympusCX21", "C47"),
        ("C47P8thin_Original_Motic", "C47"),
    ],
)
def test_the_leading_c_number_of_an_nih_name_is_the_patient(slide: str, patient: str) -> None:
    name = f"{slide}_IMG_20150714_101240_cell_9.png"
    assert patient_of_path(name) == patient
    assert patient_of_path(f"cell_images/Uninfected/{name}") == patient


@pytest.mark.parametrize(
    "path",
    [
        "cell_0001.png",
        "C12.png",
        "C1_thinF/cell.png",
        "C1_thinF_IMG_20150604_104722_cell_9/cell.png",
        "IMG_20150604_104722_cell_9.png",
        "XC1_thinF_IMG_20150604_104722_cell_9.png",
        "CthinF_IMG_20150604_104722_cell_9.png",
        "",
    ],
)
def test_other_names_give_no_patient(path: str) -> None:
    assert patient_of_path(path) is None
