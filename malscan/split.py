"""Train, validation and test parts in which no patient stands twice."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from malscan.errors import MalscanError
from malscan.labels import CLASSES, PARASITIZED
from malscan.walk import CellImage


@dataclass(frozen=True, slots=True)
class Split:
    """Three parts of a data set; the cells of one patient are all in one part."""

    train: list[CellImage]
    validation: list[CellImage]
    test: list[CellImage]

    def parts(self) -> dict[str, list[CellImage]]:
        """The parts by name, in the order of their use."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


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
    by_patient: dict[str, list[CellImage]] = defaultdict(list)
    for cell in cells:
        by_patient[str(cell.patient)].append(cell)
    if missing := test_patients - by_patient.keys():
        raise MalscanError(f"test patients not in the data: {', '.join(sorted(missing))}")
    part_of = dict.fromkeys(test_patients, "test")
    share_of_test = 0.0 if test_patients else test_share
    rng = np.random.default_rng(seed)
    for stratum in _strata(by_patient, part_of.keys()):
        order = [stratum[i] for i in rng.permutation(len(stratum))]
        n_test = round(share_of_test * len(order))
        n_validation = round(validation_share * len(order))
        part_of.update(dict.fromkeys(order[:n_test], "test"))
        part_of.update(dict.fromkeys(order[n_test : n_test + n_validation], "validation"))
    parts: dict[str, list[CellImage]] = {"train": [], "validation": [], "test": []}
    for cell in cells:
        parts[part_of.get(str(cell.patient), "train")].append(cell)
    for name, part in parts.items():
        _check_classes(name, part)
    return Split(**parts)


def patients_of(cells: Iterable[CellImage]) -> list[str]:
    """Patients of some cells, each once, sorted by number."""
    names = {str(cell.patient) for cell in cells}
    return sorted(names, key=lambda name: (len(name), name))


def _strata(by_patient: dict[str, list[CellImage]], taken: Iterable[str]) -> list[list[str]]:
    free = sorted(by_patient.keys() - set(taken))
    mixed = [p for p in free if any(cell.label == PARASITIZED for cell in by_patient[p])]
    return [mixed, sorted(set(free) - set(mixed))]


def _check_classes(name: str, part: list[CellImage]) -> None:
    for label in CLASSES:
        if not any(cell.label == label for cell in part):
            raise MalscanError(
                f"the {name} part has no {label} cell: there are too few patients for this "
                "split. Add patients, or change the shares."
            )
