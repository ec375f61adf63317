"""Splits: every cell in one part, every patient in one part, and like shares of patients."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malscan.errors import MalscanError
from malscan.labels import PARASITIZED, UNINFECTED
from malscan.split import Split, patients_of, split_by_patient
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


@settings(deadline=None)
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


def test_shares_that_leave_nothing_to_train_on_are_an_error() -> None:
    with pytest.raises(MalscanError, match="the train part has no"):
        split_by_patient(many_cells(), seed=0, validation_share=0.5, test_share=0.5)


def test_patients_are_listed_once_and_sorted_by_number() -> None:
    cells = cells_of({"C10": 2, "C9": 1, "C100": 1}, {"C9": 3, "C1": 1})
    assert patients_of(cells) == ["C1", "C9", "C10", "C100"]
