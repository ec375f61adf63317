"""Labelled cells, from two class folders or a table, each with its class and patient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from malscan.errors import MalscanError
from malscan.labels import (
    CLASSES,
    PARASITIZED,
    UNINFECTED,
    class_folder_like,
    class_of_folder,
    class_of_path,
)
from malscan.near import did_you_mean
from malscan.patients import PatientRule, patient_rule
from malscan.settings import DataSettings
from malscan.walk import CellImage, Walk

MOST_FAILED = 0.05
"""Share of unreadable images from which a data set is not to be trusted."""
_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class LabelledCells:
    """The cells of a labelled folder or table.

    Attributes:
        cells: cells in the order of the walk or table, with label, and with patient where known.
        root: folder that the names of cells are relative to.
        notes: what was left out, and why.
    """

    cells: list[CellImage]
    root: Path
    notes: list[str]

    def absolute(self) -> "LabelledCells":
        """The same cells by absolute paths, for whoever works in another folder."""
        here = Path.cwd()
        cells = [replace(cell, path=f"{here / cell.path}") for cell in self.cells]
        return LabelledCells(cells, here / self.root, self.notes)

    def name(self, cell: CellImage) -> str:
        """Path of a cell relative to the root; as it is where it lies elsewhere."""
        return cell.path.removeprefix(f"{self.root}/")


def labelled_cells(settings: DataSettings, *, both_classes: bool = True) -> LabelledCells:
    """All cells of a labelled folder or table.

    A folder holds two class folders (`Parasitized` and `Uninfected`, or other usual names in
    any case) at any depth; what stands above it plays no part. A table is a CSV file with the
    columns `path` (relative to the table's folder) and `label`, and `patient` if it is known.

    Args:
        settings: where the cells are and how to read labels and patients.
        both_classes: whether both classes are needed, or one is enough.

    Raises:
        UsageError: no such folder.
        MalscanError: a class is missing, no cell has one, or the table is none.
    """
    data = settings.data
    rule = patient_rule(settings)
    labelled = _of_folder(settings, rule) if data.is_dir() else _of_table(settings, rule)
    missing = [name for name in CLASSES if all(cell.label != name for cell in labelled.cells)]
    if missing and (both_classes or len(missing) == len(CLASSES)):
        names = " and no ".join(missing)
        raise MalscanError(f"no {names} cells in {data}. {_how_to_name_classes(data)}")
    return labelled


def check_failed(failed: Sequence[tuple[str, str]], images: int, *, allowed: bool) -> None:
    """Refuse a data set of which too many images cannot be read.

    Args:
        failed: path and reason of each image that could not be read.
        images: how many there are in all.
        allowed: accept any number.

    Raises:
        MalscanError: more than `MOST_FAILED` of them failed.
    """
    if len(failed) > MOST_FAILED * images and not allowed:
        path, reason = failed[0]
        raise MalscanError(
            f"{len(failed)} of {images} images cannot be read, more than {MOST_FAILED:.0%}; "
            f"the first is {path}: {reason}. Mend or remove them, or give --allow-failed."
        )


def _of_folder(settings: DataSettings, rule: PatientRule) -> LabelledCells:
    data = settings.data
    if settings.positive is not None:
        _check_positive_folder(data, settings.positive)
    walk = Walk([str(data)])
    cells, unlabelled = [], 0
    for image in walk:
        relative = image.path.removeprefix(f"{data}/")
        if label := _label_of_path(relative, settings.positive):
            cells.append(replace(image, label=label, patient=rule(relative)))
        elif image.error and _label_of_path(f"{relative}/cell", settings.positive):
            raise MalscanError(f"{image.path}: {image.error}. No cell of it can be read.")
        else:
            unlabelled += 1
    notes = list(walk.notes)
    if unlabelled:
        left_out = f"left out {unlabelled} images that lie in no class folder"
        notes.append("; ".join([left_out, *_mistyped(data)]))
    return LabelledCells(cells, data, notes)


def _label_of_path(relative: str, positive: str | None) -> str | None:
    if positive is None:
        return class_of_path(relative)
    top, _, below = relative.partition("/")
    if not below:
        return None
    return PARASITIZED if top == positive else UNINFECTED


def _check_positive_folder(data: Path, positive: str) -> None:
    folders = _folders(data)
    if positive not in folders or len(folders) != 2:
        raise MalscanError(
            f"--positive {positive} needs two folders in {data}, one of them {positive}; "
            f"there are: {_shown(folders)}."
        )


def _folders(data: Path) -> list[str]:
    return sorted(path.name for path in data.iterdir() if path.is_dir() and path.name[0] != ".")


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "none") + more


def _how_to_name_classes(data: Path) -> str:
    if data.is_dir():
        return (
            "Give a folder that holds two class folders, Parasitized and Uninfected, or name the "
            f"one that means parasitized with --positive. Folders there: {_shown(_folders(data))}."
            f"{''.join(f' {found}: rename it.' for found in _mistyped(data))}"
        )
    return "The column label must name both classes, parasitized and uninfected."


def _mistyped(data: Path) -> list[str]:
    """Which folders are nearly called like a class, in words."""
    others = [name for name in _folders(data) if class_of_folder(name) is None]
    near = {name: class_folder_like(name) for name in others}
    return [f"{name} looks like {meant}" for name, meant in near.items() if meant][:_NAMES_SHOWN]


def _of_table(settings: DataSettings, rule: PatientRule) -> LabelledCells:
    table = _read_table(settings.data)
    cells: dict[str, CellImage] = {}
    repeated = 0
    for cell in _rows(table, settings, rule):
        before = cells.setdefault(cell.path, cell)
        if (before.label, before.patient) != (cell.label, cell.patient):
            raise MalscanError(
                f"{settings.data}: {cell.path} stands there twice, with different entries"
            )
        repeated += before is not cell
    notes = [f"left out {repeated} rows that repeat a path"] if repeated else []
    return LabelledCells(list(cells.values()), settings.data.parent, notes)


def _read_table(path: Path) -> pd.DataFrame:
    try:
        # Objects, since strings of Arrow cannot hold bytes that are not UTF-8.
        table = pd.read_csv(
            path, dtype=object, keep_default_na=False, encoding_errors="surrogateescape"
        )
    except (OSError, ValueError) as error:
        raise MalscanError(f"cannot read the table {path}: {error}") from None
    table.columns = table.columns.str.strip().str.lower()
    if missing := {"path", "label"} - set(table.columns):
        raise MalscanError(
            f"the table {path} has no column {' and no column '.join(sorted(missing))}. "
            "It needs the columns path and label, and patient if it is known."
        )
    return table


def _rows(table: pd.DataFrame, settings: DataSettings, rule: PatientRule) -> Iterator[CellImage]:
    own_patients = "patient" in table.columns and not _rule_given(settings)
    patients = table["patient"] if own_patients else [""] * len(table)
    labels = _labels(table, settings)
    for typed, label, patient in zip(table["path"], labels, patients, strict=True):
        path = str(settings.data.parent / typed)
        yield CellImage(
            path,
            slide=str(Path(path).parent),
            label=label,
            patient=patient.strip() or None if own_patients else rule(typed),
        )


def _rule_given(settings: DataSettings) -> bool:
    return bool(
        settings.patient_maps or settings.patient_folders or settings.patient_pattern is not None
    )


def _labels(table: pd.DataFrame, settings: DataSettings) -> list[str]:
    """The class of each row, by the usual names or by the one that is said to be positive."""
    found = sorted(set(table["label"]))
    if settings.positive is not None:
        if settings.positive not in found or len(found) > 2:
            raise MalscanError(
                f"--positive {settings.positive} needs two labels in {settings.data}, one of "
                f"them {settings.positive}; there are: {_shown(found)}."
            )
        known = dict.fromkeys(found, UNINFECTED) | {settings.positive: PARASITIZED}
    else:
        known = {name: label for name in found if (label := class_of_folder(name))}
    for row, name in enumerate(table["label"], start=2):
        if name not in known:
            raise MalscanError(
                f"{settings.data}, line {row}: the label {name!r} is not known."
                f"{did_you_mean(class_folder_like(name))} Write parasitized or uninfected, or name "
                "the label that means parasitized with --positive."
            )
    return [known[name] for name in table["label"]]
