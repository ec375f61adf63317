"""Labelled cells: a folder with two class folders, each cell with its class and patient."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from malscan.errors import MalscanError
from malscan.labels import CLASSES, class_of_path, patient_of_path
from malscan.walk import CellImage, Walk


@dataclass(frozen=True, slots=True)
class LabelledCells:
    """The cells of a labelled folder.

    Attributes:
        cells: cells in the order of the walk, with label, and with patient where the name tells.
        notes: parts of the folder that were left out, and why.
    """

    cells: list[CellImage]
    notes: list[str]


def labelled_cells(data: Path) -> LabelledCells:
    """All cells under a folder whose class folders say what they are.

    Args:
        data: folder with two class folders (`Parasitized` and `Uninfected`, or other usual
            names in any case), at any depth. What stands above it plays no part.

    Raises:
        UsageError: no such folder.
        MalscanError: a class is missing.
    """
    walk = Walk([str(data)])
    cells = []
    unlabelled = 0
    for image in walk:
        if label := class_of_path(image.path.removeprefix(str(data))):
            patient = patient_of_path(image.path)
            cells.append(replace(image, label=label, patient=patient))
        else:
            unlabelled += 1
    for name in CLASSES:
        if not any(cell.label == name for cell in cells):
            raise MalscanError(
                f"no {name} cells under {data}. "
                "Give a folder that holds two class folders, Parasitized and Uninfected."
            )
    notes = list(walk.notes)
    if unlabelled:
        notes.append(f"left out {unlabelled} images that lie in no class folder")
    return LabelledCells(cells, notes)


def with_known_patient(cells: Iterable[CellImage]) -> list[CellImage]:
    """The same cells, after checking that the patient of each is known.

    Raises:
        MalscanError: a name does not tell the patient.
    """
    known = list(cells)
    for cell in known:
        if cell.patient is None:
            raise MalscanError(
                f"no patient known for {cell.path}: a split by patient needs names like those "
                "of the NIH/NLM archive, C<number>..._IMG_..."
            )
    return known


def read_patient_list(path: Path) -> frozenset[str]:
    """Patients named in a file, one a line; empty lines and lines after `#` do not count.

    Raises:
        MalscanError: the file cannot be read or names nobody.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MalscanError(f"cannot read the patient list {path}: {error}") from None
    patients = frozenset(name for line in lines if (name := line.partition("#")[0].strip()))
    if not patients:
        raise MalscanError(f"the patient list {path} names no patient")
    return patients
