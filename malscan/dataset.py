"""Labelled cells: a folder with two class folders, each cell with its class and patient."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from malscan.errors import MalscanError
from malscan.labels import CLASSES, class_of_path, patient_of_path
from malscan.walk import CellImage, Walk


def labelled_cells(data: Path) -> list[CellImage]:
    """All cells under a folder whose class folders say what they are.

    Args:
        data: folder with two class folders (`Parasitized` and `Uninfected`, or other usual
            names in any case), at any depth.

    Returns:
        The cells in the order of the walk, with label, and with patient where the name tells.

    Raises:
        UsageError: no such folder.
        MalscanError: a class is missing.
    """
    cells = [
        replace(image, label=label, patient=patient_of_path(image.path))
        for image in Walk([str(data)])
        if (label := class_of_path(image.path))
    ]
    for name in CLASSES:
        if not any(cell.label == name for cell in cells):
            raise MalscanError(
                f"no {name} cells under {data}. "
                "Give a folder that holds two class folders, Parasitized and Uninfected."
            )
    return cells


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
