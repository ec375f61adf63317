"""Splits: every cell in one part, every patient in one part, and like shares of patients."""

import re
from collections import Counter
from pathlib import Path

import pytest
from conftest import SHARED
from draw_cells import draw_labelled
from hypothesis import given
from hypothesis import strategies as st

from malscan.dataset import labelled_cells
from malscan.errors import MalscanError
from malscan.labels import CLASSES, PARASITIZED, UNINFECTED
from malscan.patients import patients_of
from malscan.settings import DataSettings
from malscan.split import (
    Split,
    split_as_notebook,
    split_by_cell,
    split_by_patient,
    split_into_folds,
)
from malscan.walk import CellImage


def cell(patient: str, label: str, number: int) -> CellImage:
    return CellImage(f"{label}/{patient}_{number}.png", label, None, label, patient)


def cells_of(parasitized: dict[str, int], uninfected: dict[str, int]) -> list[CellImage]:
    """Cells by their number for each patient."""
    return [
        cell(patient, label, number)
        for label, counts in ((PARASITIZED, parasitized), (UNINFECTED, uninfected))
        for patient, count in counts.items()
        for number in range(count)
    ]


def many_cells(mixed: int = 20, healthy: int = 10) -> list[CellImage]:
    """Patients C1, C2, ... with both classes, and then some with uninfected cells only."""
    names = [f"C{i + 1}" for i in range(mixed + healthy)]
    return cells_of(dict.fromkeys(names[:mixed], 3), dict.fromkeys(names, 2))


def split(cells: list[CellImage], seed: int = 0, test: frozenset[str] = frozenset()) -> Split:
    return split_by_patient(
        cells, seed=seed, validation_share=0.2, test_share=0.3, test_patients=test
    )


def test_parts_come_by_name_in_the_order_of_their_use() -> None:
    parts = split(many_cells())
    assert parts.parts() == {
        "train": parts.train,
        "validation": parts.validation,
        "test": parts.test,
    }
    assert list(parts.parts()) == ["train", "validation", "test"]


@given(
    mixed=st.dictionaries(
        st.integers(1, 99).map("C{}".format),
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
        min_size=10,
        max_size=25,
    ),
    healthy=st.dictionaries(st.integers(100, 199).map("C{}".format), st.integers(1, 4)),
    seed=st.integers(0, 2**32),
)
def test_no_patient_is_in_two_parts_and_no_cell_is_lost(
    mixed: dict[str, tuple[int, int]], healthy: dict[str, int], seed: int
) -> None:
    cells = cells_of(
        {patient: counts[0] for patient, counts in mixed.items()},
        {patient: counts[1] for patient, counts in mixed.items()} | healthy,
    )
    parts = list(split(cells, seed).parts().values())
    patients = [set(patients_of(part)) for part in parts]
    assert sum(map(len, patients)) == len(set.union(*patients)) == len(mixed) + len(healthy)
    assert sorted(image.path for part in parts for image in part) == sorted(
        image.path for image in cells
    )


@pytest.mark.parametrize("seed", range(3))
def test_both_kinds_of_patients_have_the_wanted_share_of_each_part(seed: int) -> None:
    parts = split(many_cells(mixed=20, healthy=10), seed)
    mixed = {f"C{i + 1}" for i in range(20)}
    counts = {
        name: (len(set(patients_of(part)) & mixed), len(set(patients_of(part)) - mixed))
        for name, part in parts.parts().items()
    }
    assert counts == {"train": (10, 5), "validation": (4, 2), "test": (6, 3)}


def test_named_test_patients_are_the_test_part() -> None:
    named = frozenset({"C3", "C25", "C7"})
    parts = split(many_cells(), test=named)
    assert set(patients_of(parts.test)) == named


def test_named_test_patients_leave_the_wanted_share_for_validation() -> None:
    parts = split(many_cells(mixed=21, healthy=11), test=frozenset({"C1", "C32"}))
    assert len(patients_of(parts.validation)) == 6
    assert len(patients_of(parts.train)) == 24


def test_one_seed_gives_one_split_and_another_seed_another() -> None:
    assert split(many_cells(), seed=5) == split(many_cells(), seed=5)
    assert patients_of(split(many_cells(), seed=5).test) != patients_of(
        split(many_cells(), seed=6).test
    )


def test_the_order_of_the_cells_does_not_change_who_is_where() -> None:
    forward, backward = split(many_cells()), split(many_cells()[::-1])
    for name, part in forward.parts().items():
        assert patients_of(part) == patients_of(backward.parts()[name])


def test_an_unknown_test_patient_is_an_error_that_names_them() -> None:
    with pytest.raises(MalscanError, match=r"not in the data: C404, C405$"):
        split(many_cells(), test=frozenset({"C1", "C405", "C404"}))


def test_too_few_patients_are_an_error_that_says_what_is_missing() -> None:
    cells = cells_of({"C1": 5, "C2": 5}, {"C1": 5, "C2": 5})
    with pytest.raises(MalscanError, match="the validation part has no parasitized cell"):
        split(cells)


def test_test_patients_without_one_class_are_an_error() -> None:
    with pytest.raises(MalscanError, match="the test part has no parasitized cell"):
        split(many_cells(mixed=20, healthy=10), test=frozenset({"C25"}))


def test_shares_that_would_take_all_leave_one_patient_of_each_kind_to_train_on() -> None:
    parts = split_by_patient(many_cells(20, 10), seed=0, validation_share=0.5, test_share=0.5)
    assert [len(patients_of(part)) for part in parts.parts().values()] == [2, 13, 15]


def test_no_part_is_empty_with_as_few_patients_as_there_can_be() -> None:
    cells = cells_of(dict.fromkeys(["C1", "C2", "C3"], 2), dict.fromkeys(["C1", "C2", "C3"], 2))
    parts = split_by_patient(cells, seed=0, validation_share=0.01, test_share=0.01).parts()
    assert [len(patients_of(part)) for part in parts.values()] == [1, 1, 1]


def test_a_test_share_of_0_leaves_no_test_part() -> None:
    parts = split_by_patient(many_cells(), seed=0, validation_share=0.2, test_share=0.0)
    assert parts.test == []
    assert len(patients_of(parts.validation)) == 6


class TestFolds:
    @given(
        folds=st.integers(2, 5),
        mixed=st.integers(10, 20),
        healthy=st.integers(0, 10),
        seed=st.integers(0, 99),
    )
    def test_each_patient_is_tested_exactly_once_and_no_cell_is_lost(
        self, folds: int, mixed: int, healthy: int, seed: int
    ) -> None:
        cells = many_cells(mixed, healthy)
        splits = split_into_folds(cells, folds=folds, seed=seed, validation_share=0.2)
        assert len(splits) == folds
        tested = [name for split in splits for name in patients_of(split.test)]
        assert sorted(tested) == sorted(patients_of(cells))
        for one in splits:
            assert one.straddlers() == set()
            assert sorted(image.path for part in one.parts().values() for image in part) == sorted(
                image.path for image in cells
            )

    def test_folds_have_like_shares_of_both_kinds_of_patients(self) -> None:
        mixed = {f"C{i + 1}" for i in range(20)}
        for one in split_into_folds(many_cells(20, 10), folds=5, seed=3, validation_share=0.1):
            tested = set(patients_of(one.test))
            assert (len(tested & mixed), len(tested - mixed)) == (4, 2)

    def test_more_folds_than_patients_are_an_error(self) -> None:
        with pytest.raises(MalscanError, match="patients"):
            split_into_folds(many_cells(3, 0), folds=4, seed=0, validation_share=0.1)

    def test_a_fold_that_lacks_a_class_is_an_error(self) -> None:
        with pytest.raises(MalscanError, match="the test part has no parasitized cell"):
            split_into_folds(many_cells(3, 9), folds=4, seed=0, validation_share=0.1)


def test_straddlers_are_the_patients_in_more_than_one_part() -> None:
    def one(patient: str | None, number: int) -> CellImage:
        return CellImage(f"{number}.png", "s", None, PARASITIZED, patient)

    parts = Split(
        [one("C1", 1), one("C2", 2), one(None, 3)],
        [one("C2", 4), one("C3", 5)],
        [one("C4", 6), one("C3", 7), one(None, 8), one("C4", 9)],
    )
    assert parts.straddlers() == {"C2", "C3"}


class TestByCell:
    def cells(self) -> list[CellImage]:
        return cells_of({"C1": 30, "C2": 20}, {"C1": 60, "C3": 40})

    def test_each_class_is_dealt_out_in_the_wanted_shares(self) -> None:
        parts = split_by_cell(self.cells(), seed=0, validation_share=0.1, test_share=0.2)
        counts = {
            name: Counter(cell.label for cell in part) for name, part in parts.parts().items()
        }
        assert counts == {
            "train": {PARASITIZED: 35, UNINFECTED: 70},
            "validation": {PARASITIZED: 5, UNINFECTED: 10},
            "test": {PARASITIZED: 10, UNINFECTED: 20},
        }

    def test_no_cell_is_lost_and_the_order_is_that_of_the_data(self) -> None:
        cells = self.cells()
        parts = split_by_cell(cells, seed=0, validation_share=0.1, test_share=0.2)
        number = {cell.path: i for i, cell in enumerate(cells)}
        places = [[number[cell.path] for cell in part] for part in parts.parts().values()]
        assert all(part == sorted(part) for part in places)
        assert sorted(place for part in places for place in part) == list(range(len(cells)))

    def test_patients_need_not_be_known(self) -> None:
        cells = [CellImage(f"{i}.png", "s", None, label) for i, label in enumerate("pu" * 10)]
        known = [
            CellImage(c.path, "s", None, PARASITIZED if c.label == "p" else UNINFECTED)
            for c in cells
        ]
        parts = split_by_cell(known, seed=0, validation_share=0.2, test_share=0.2)
        assert [len(part) for part in parts.parts().values()] == [12, 4, 4]
        assert parts.straddlers() == set()

    def test_one_seed_gives_one_split_and_another_seed_another(self) -> None:
        first, again, other = (
            split_by_cell(self.cells(), seed=seed, validation_share=0.1, test_share=0.2)
            for seed in (1, 1, 2)
        )
        assert first == again
        assert first.test != other.test

    def test_too_few_cells_are_an_error_that_asks_for_cells(self) -> None:
        with pytest.raises(MalscanError, match=r"no parasitized cell.*Add cells"):
            split_by_cell(
                cells_of({"C1": 1}, {"C1": 9}), seed=0, validation_share=0.1, test_share=0.2
            )


class TestNotebook:
    def test_the_first_fifth_of_each_class_by_name_validates(self) -> None:
        cells = cells_of({"C1": 10}, {"C2": 14})[::-1]
        parts = split_as_notebook(cells)
        assert sorted(cell.path for cell in parts.validation) == [
            "parasitized/C1_0.png",
            "parasitized/C1_1.png",
            "uninfected/C2_0.png",
            "uninfected/C2_1.png",
        ]
        assert (len(parts.train), parts.test) == (20, [])

    def test_it_is_that_of_keras_generator(self, tmp_path: Path) -> None:
        import tensorflow as tf

        draw_labelled(tmp_path, patients=13, cells_per_class=23, seed=3, size=16)
        cells = labelled_cells(DataSettings(tmp_path)).cells
        parts = split_as_notebook(cells)

        generator = tf.keras.preprocessing.image.ImageDataGenerator(validation_split=0.2)
        for subset, part in (("training", parts.train), ("validation", parts.validation)):
            flow = generator.flow_from_directory(str(tmp_path), shuffle=False, subset=subset)
            assert [str(path) for path in flow.filepaths] == [cell.path for cell in part]
            assert flow.classes.tolist() == [CLASSES.index(str(cell.label)) for cell in part]

    @pytest.mark.real_data
    def test_the_whole_archive_gives_22048_and_5510_images(self) -> None:
        maps = sorted(SHARED.glob("patientid_cellmapping_*.csv"))
        if not maps:
            pytest.skip("the official mapping is not here: ../shared/data is missing")
        cells = [
            CellImage(f"{label}/{name}", label, None, label, "C1")
            for label, path in zip((PARASITIZED, UNINFECTED), maps, strict=True)
            for name in re.findall(r"'([^']+\.png)'", path.read_text())
        ]
        parts = split_as_notebook(cells)
        assert len({cell.path for cell in cells}) == len(cells) == 27_558
        assert (len(parts.train), len(parts.validation)) == (22_048, 5_510)
        assert Counter(cell.label for cell in parts.validation) == dict.fromkeys(CLASSES, 2_755)
