"""Slides and patients: mapping files, rows, samples by patient."""

from collections import Counter

import pytest
from archives import mapping_text, tiny_images
from conftest import SHARED

from malscan.errors import MalscanError
from malscan.fetch.archive import PUBLISHED
from malscan.fetch.patients import (
    count_lacking,
    count_patients,
    csv_of,
    patient_rows,
    sample,
)
from malscan.labels import CLASSES, class_of_path, patient_of_path
from malscan.patients import parse_mapping

IMAGES = list(tiny_images(patients=12, each=5))
SLIDES = {label: parse_mapping(mapping_text(IMAGES, label)) for label in CLASSES}


@pytest.fixture(scope="module")
def real_slides() -> dict[str, dict[str, str]]:
    if not SHARED.exists():
        pytest.skip("the real mapping files are not here: ../shared/data is missing")
    return {
        mapping.label: parse_mapping((SHARED / mapping.name).read_text(encoding="utf-8"))
        for mapping in PUBLISHED.mappings
    }


@pytest.mark.real_data
def test_the_real_mapping_files_give_27_558_rows_of_200_patients(
    real_slides: dict[str, dict[str, str]],
) -> None:
    places = [
        f"{label.capitalize()}/{name}" for label in CLASSES for name in sorted(real_slides[label])
    ]

    rows = patient_rows(places, real_slides)

    assert len(rows) == 27_558
    assert Counter(row.label for row in rows) == {"parasitized": 13_779, "uninfected": 13_779}
    assert len({row.patient for row in rows}) == 200
    assert count_patients(places) == PUBLISHED.patients
    both_microscopes = {row.slide_id for row in rows if row.patient == "C47"}
    assert both_microscopes == {"C47P8thinOriginalOlympusCX21", "C47P8thin_Original_Motic"}
    sick = {row.patient for row in rows if row.label == "parasitized"}
    assert len(sick) == 150


@pytest.mark.real_data
def test_the_real_images_are_all_in_the_mapping_files(
    real_slides: dict[str, dict[str, str]],
) -> None:
    with (SHARED / "manifest.tsv").open() as file:
        places = ["/".join(line.split("\t")[:2]) for line in file][1:]

    rows = patient_rows(places, real_slides)

    assert len(rows) == 21_787
    assert len({row.patient for row in rows}) == 160


def test_a_mapping_file_is_read_with_its_padding() -> None:
    slides = parse_mapping("C1_thin,['C1_thin_IMG_1.png', 'C1_thin_IMG_2.png'],,\r\n,,,\r\n")

    assert slides == {"C1_thin_IMG_1.png": "C1_thin", "C1_thin_IMG_2.png": "C1_thin"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>Not found</html>", "line 1 is no list"),
        ("C1,['a', 'b']\nC2,['c', 'd'", "line 2 is no list"),
        ("C1,['a', 'a']", "names a twice"),
    ],
)
def test_a_mapping_file_that_is_none_is_told(text: str, message: str) -> None:
    with pytest.raises(MalscanError, match=message):
        parse_mapping(text)


def test_rows_have_path_label_slide_and_patient() -> None:
    text = csv_of(patient_rows(IMAGES[:1], SLIDES))

    assert text == (
        "path,label,slide_id,patient\n"
        "cell_images/Parasitized/C1P1thinF_IMG_20150101_120000_cell_1.png,"
        "parasitized,C1P1thinF,C1\n"
    )


def test_the_names_alone_give_the_same_rows() -> None:
    assert patient_rows(IMAGES, None) == patient_rows(IMAGES, SLIDES)


def test_a_mapping_that_disagrees_with_a_name_is_told() -> None:
    name = IMAGES[0].rpartition("/")[2]
    wrong = {**SLIDES, "parasitized": {**SLIDES["parasitized"], name: "C2P2thinF"}}

    with pytest.raises(MalscanError, match="says C2P2thinF"):
        patient_rows(IMAGES, wrong)


def test_an_image_that_the_mapping_lacks_is_told() -> None:
    with pytest.raises(MalscanError, match="does not know it"):
        patient_rows(["Uninfected/C99thin_IMG_1.png"], SLIDES)


def test_images_that_the_archive_lacks_are_counted() -> None:
    assert count_lacking(IMAGES, SLIDES) == 0
    assert count_lacking(IMAGES[3:], SLIDES) == 3


def test_a_name_that_does_not_tell_the_patient_is_told() -> None:
    with pytest.raises(MalscanError, match="--no-patients"):
        patient_rows(["Uninfected/cell.png"], None)


@pytest.mark.parametrize("least", [1, 10, 11, 35, 120, 500])
def test_a_sample_is_the_fewest_whole_patients_that_hold_enough(least: int) -> None:
    chosen = sample(IMAGES, least)

    patients = {patient_of_path(place) for place in chosen}
    assert chosen == [place for place in IMAGES if patient_of_path(place) in patients]
    assert {class_of_path(place) for place in chosen} == set(CLASSES)
    assert len(chosen) == min(-(-least // 10) * 10, len(IMAGES))


def test_a_larger_sample_holds_every_smaller_one_whatever_the_order() -> None:
    small, large = sample(IMAGES, 20), sample(IMAGES[::-1], 50)

    assert set(small) < set(large)


def test_a_sample_has_both_classes() -> None:
    # All patients but one give uninfected cells only.
    only_c5 = [p for p in IMAGES if "Uninfected" in p or patient_of_path(p) == "C5"]

    chosen = sample(only_c5, 1)

    assert {class_of_path(place) for place in chosen} == set(CLASSES)
