"""`split.csv`: which cell is in which part, to be read by people and given again."""

import csv
from pathlib import Path

import pandas as pd

from malscan.dataset import LabelledCells
from malscan.errors import MalscanError
from malscan.split import Split
from malscan.walk import CellImage

_COLUMNS = ("path", "label", "patient", "part")


def write_split(path: Path, split: Split, labelled: LabelledCells) -> None:
    """Write one row a cell, in the order of the data.

    Args:
        path: file to write.
        split: the parts.
        labelled: the cells and what their names are relative to.
    """
    part_of = {cell.path: name for name, part in split.parts().items() for cell in part}
    rows = [
        (labelled.name(cell), cell.label, cell.patient or "", part_of[cell.path])
        for cell in labelled.cells
        if cell.path in part_of
    ]
    # Pandas would not quote a carriage return of its own accord.
    odd = any("\r" in row[0] for row in rows)
    # As bytes, since a name may hold bytes that are not UTF-8.
    text = pd.DataFrame(rows, columns=list(_COLUMNS), dtype=object).to_csv(
        index=False, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
    )
    path.write_bytes(text.encode(errors="surrogateescape"))


def read_split(path: Path, labelled: LabelledCells, *, patients_may_straddle: bool) -> Split:
    """Read a split again and hold it against the data.

    Args:
        path: a file that `write_split` wrote.
        labelled: the cells, with the same root as then.
        patients_may_straddle: accept a patient in two parts (a split by cell).

    Returns:
        The parts, each in the order of the data.

    Raises:
        MalscanError: the file is no split, or does not match the data.
    """
    rows = _read_rows(path)
    parts: dict[str, list[CellImage]] = {"train": [], "validation": [], "test": []}
    strangers = []
    for cell in labelled.cells:
        row = rows.pop(labelled.name(cell), None)
        if row is None:
            strangers.append(labelled.name(cell))
            continue
        label, part = row
        if label != cell.label:
            raise MalscanError(
                f"{path} does not match the data: {labelled.name(cell)} is {label} there and "
                f"{cell.label} in the data"
            )
        parts[part].append(cell)
    _check_match(path, strangers, list(rows))
    split = Split(**parts)
    straddlers = split.straddlers()
    if straddlers and not patients_may_straddle:
        raise MalscanError(
            f"{path} has {len(straddlers)} patients in two parts, such as {min(straddlers)}. "
            "Mend it, or say --split cell."
        )
    for name in ("train", "validation"):
        if {cell.label for cell in parts[name]} != {"parasitized", "uninfected"}:
            raise MalscanError(f"{path}: the {name} part lacks a class")
    return split


def _read_rows(path: Path) -> dict[str, tuple[str, str]]:
    """Label and part of each cell by its name."""
    try:
        # Objects, since strings of Arrow cannot hold bytes that are not UTF-8.
        table = pd.read_csv(
            path, dtype=object, keep_default_na=False, encoding_errors="surrogateescape"
        )
    except (OSError, ValueError) as error:
        raise MalscanError(f"cannot read the split {path}: {error}") from None
    if missing := {"path", "label", "part"} - set(table.columns):
        raise MalscanError(f"{path} is no split: it has no column {', '.join(sorted(missing))}")
    if odd := sorted(set(table["part"]) - {"train", "validation", "test"}):
        raise MalscanError(f"{path}: unknown part {odd[0]!r}. Write train, validation or test.")
    if len(again := table["path"][table["path"].duplicated()]):
        raise MalscanError(f"{path}: {again.iloc[0]} stands there twice")
    return {
        name: (label, part)
        for name, label, part in zip(table["path"], table["label"], table["part"], strict=True)
    }


def _check_match(path: Path, strangers: list[str], missing: list[str]) -> None:
    if strangers:
        raise MalscanError(
            f"{path} does not match the data: {len(strangers)} images are not in it, such as "
            f"{strangers[0]}. Make a new split, or give the data it was made for."
        )
    if missing:
        raise MalscanError(
            f"{path} does not match the data: {len(missing)} of its images are not there, such "
            f"as {missing[0]}. Make a new split, or give the data it was made for."
        )
