"""Train, validation and test parts; unless asked otherwise no patient stands in two of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from malscan.errors import MalscanError
from malscan.labels import CLASSES, PARASITIZED
from malscan.walk import CellImage

NOTEBOOK_SHARE = 0.2
"""Share of each class that the notebook validates on: the first by name."""


@dataclass(frozen=True, slots=True)
class Split:
    """Parts of a data set; `test` may be empty."""

    train: list[CellImage]
    validation: list[CellImage]
    test: list[CellImage]

    def parts(self) -> dict[str, list[CellImage]]:
        """The parts by name, in the order of their use."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def straddlers(self) -> set[str]:
        """Patients who stand in more than one part."""
        seen: dict[str, str] = {}
        return {
            cell.patient
            for name, part in self.parts().items()
            for cell in part
            if cell.patient is not None and seen.setdefault(cell.patient, name) != name
        }


def split_by_patient(
    cells: Sequence[CellImage],
    *,
    seed: int,
    validation_share: float,
    test_share: float,
    test_patients: frozenset[str] = frozenset(),
) -> Split:
    """Split cells so that patients do not straddle parts.

    Patients with and without parasitized cells are dealt out separately, so that each part
    has a like share of patients who have uninfected cells only.

    Args:
        cells: cells with label and patient.
        seed: of the random order of patients.
        validation_share: share of patients for validation, 0..1.
        test_share: share of patients for test, 0..1; not used with `test_patients`.
        test_patients: patients that are to be the test part.

    Raises:
        MalscanError: a test patient is not in the data, or a part lacks a class.
    """
    strata = _strata(cells, test_patients)
    part_of = dict.fromkeys(test_patients, "test")
    share_of_test = 0.0 if test_patients else test_share
    rng = np.random.default_rng(seed)
    for stratum in strata:
        order = [stratum[i] for i in rng.permutation(len(stratum))]
        n_test = _count(share_of_test, len(order))
        n_validation = _count(validation_share, len(order) - n_test, whole=len(order))
        part_of.update(dict.fromkeys(order[:n_test], "test"))
        part_of.update(dict.fromkeys(order[n_test : n_test + n_validation], "validation"))
    return _checked(_deal(cells, part_of), "patients")


def split_into_folds(
    cells: Sequence[CellImage], *, folds: int, seed: int, validation_share: float
) -> list[Split]:
    """Splits for a cross-validation: each patient is a test patient exactly once.

    Args:
        cells: cells with label and patient.
        folds: number of splits, at least 2.
        seed: of the random order of patients.
        validation_share: share of the patients of a fold's train part that validate it.

    Raises:
        MalscanError: there are fewer patients than folds, or a part lacks a class.
    """
    strata = _strata(cells, frozenset())
    rng = np.random.default_rng(seed)
    orders = [[stratum[i] for i in rng.permutation(len(stratum))] for stratum in strata]
    splits = []
    for fold in range(folds):
        tested = frozenset(name for order in orders for name in order[fold::folds])
        if not tested:
            raise MalscanError(
                f"{folds} folds need at least as many patients; there are {sum(map(len, orders))}"
            )
        split = split_by_patient(
            cells,
            seed=seed,
            validation_share=validation_share,
            test_share=0.0,
            test_patients=tested,
        )
        splits.append(split)
    return splits


def split_by_cell(
    cells: Sequence[CellImage], *, seed: int, validation_share: float, test_share: float
) -> Split:
    """Split cells at random within each class; cells of one patient come to lie in all parts.

    Args:
        cells: cells with label.
        seed: of the random order of cells.
        validation_share: share of the cells for validation, 0..1.
        test_share: share of the cells for test, 0..1.

    Raises:
        MalscanError: a part lacks a class.
    """
    rng = np.random.default_rng(seed)
    part_of: dict[str, str] = {}
    for label in CLASSES:
        paths = sorted(cell.path for cell in cells if cell.label == label)
        order = [paths[i] for i in rng.permutation(len(paths))]
        n_test = _count(test_share, len(order))
        n_validation = _count(validation_share, len(order) - n_test, whole=len(order))
        part_of.update(dict.fromkeys(order[:n_test], "test"))
        part_of.update(dict.fromkeys(order[n_test : n_test + n_validation], "validation"))
    return _checked(_deal(cells, part_of, by_cell=True), "cells")


def split_as_notebook(cells: Sequence[CellImage]) -> Split:
    """The split of the notebook: the first fifth of each class by name validates, none tests.

    Args:
        cells: cells with label.

    Raises:
        MalscanError: a part lacks a class.
    """
    part_of: dict[str, str] = {}
    for label in CLASSES:
        paths = sorted(cell.path for cell in cells if cell.label == label)
        first = paths[: int(NOTEBOOK_SHARE * len(paths))]
        part_of.update(dict.fromkeys(first, "validation"))
    return _checked(_deal(cells, part_of, by_cell=True), "cells")


def _strata(cells: Iterable[CellImage], taken: frozenset[str]) -> list[list[str]]:
    """Patients not yet taken: those with parasitized cells, and the others."""
    by_patient: dict[str, bool] = defaultdict(bool)
    for cell in cells:
        by_patient[str(cell.patient)] |= cell.label == PARASITIZED
    if missing := taken - by_patient.keys():
        raise MalscanError(f"test patients not in the data: {', '.join(sorted(missing))}")
    free = sorted(by_patient.keys() - taken)
    return [[name for name in free if by_patient[name] is infected] for infected in (True, False)]


def _count(share: float, free: int, *, whole: int | None = None) -> int:
    """How many of some to take: at least one where any is asked for and one stays behind."""
    wanted = max(round(share * (free if whole is None else whole)), 1 if share else 0)
    return min(wanted, max(free - 1, 0))


def _deal(cells: Iterable[CellImage], part_of: dict[str, str], *, by_cell: bool = False) -> Split:
    parts: dict[str, list[CellImage]] = {"train": [], "validation": [], "test": []}
    for cell in cells:
        key = cell.path if by_cell else str(cell.patient)
        parts[part_of.get(key, "train")].append(cell)
    return Split(**parts)


def _checked(split: Split, unit: str) -> Split:
    """The same split, after checking that each part has both classes (test may be empty)."""
    for name, part in split.parts().items():
        if name == "test" and not part:
            continue
        for label in CLASSES:
            if not any(cell.label == label for cell in part):
                raise MalscanError(
                    f"the {name} part has no {label} cell: there are too few {unit} for this "
                    f"split. Add {unit}, or ask for other shares or fewer folds."
                )
    return split
