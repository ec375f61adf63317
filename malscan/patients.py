"""Which patient a cell is of: from names, tables, patterns or folders; and lists of patients."""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from malscan.errors import MalscanError
from malscan.labels import class_of_folder, patient_of_path
from malscan.settings import DataSettings
from malscan.walk import CellImage

_HOW_TO_MAP = (
    "Give a table with the columns path and patient, or an official mapping of the NIH/NLM archive."
)

PatientRule = Callable[[str], str | None]
"""From the path of an image below the data folder to its patient; None where it is unknown."""

_SLIDE_ID = re.compile(r"C\d+")
_MAPPING_ROW = re.compile(r"([^,]+),\[((?:'[^']+'(?:, )?)*)\],*")


def patient_rule(settings: DataSettings) -> PatientRule:
    """The rule that the settings ask for; the names of the NIH/NLM archive without any.

    Raises:
        MalscanError: a patient map cannot be read.
    """
    if settings.patient_maps:
        return _read_maps(settings.patient_maps)
    if settings.patient_pattern is not None:
        return _rule_of_pattern(re.compile(settings.patient_pattern))
    if settings.patient_folders:
        if settings.positive is not None and settings.data.is_dir():
            # There the outermost folders are the classes, whatever they are called.
            return lambda path: _patient_of_folder(path.partition("/")[2])
        return _patient_of_folder
    return patient_of_path


def parse_mapping(text: str) -> dict[str, str]:
    """Slide id by image name, from a published mapping file.

    The files have no header; a row is a slide id, a list of names as Python prints it, and
    commas that pad it.

    >>> parse_mapping("C1_thinF,['C1_thinF_IMG_1_cell_1.png', 'C1_thinF_IMG_1_cell_2.png'],,,")
    {'C1_thinF_IMG_1_cell_1.png': 'C1_thinF', 'C1_thinF_IMG_1_cell_2.png': 'C1_thinF'}

    Raises:
        MalscanError: the text is no such file, or names an image twice.
    """
    slides: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip(", \t"):
            continue
        row = _MAPPING_ROW.fullmatch(line.strip())
        if row is None:
            raise MalscanError(f"the mapping file is not as published: line {number} is no list")
        for name in re.findall(r"'([^']+)'", row[2]):
            if name in slides:
                raise MalscanError(f"the mapping file names {name} twice")
            slides[name] = row[1]
    return slides


def with_known_patient(cells: Iterable[CellImage]) -> list[CellImage]:
    """The same cells, after checking that the patient of each is known.

    Raises:
        MalscanError: the patient of a cell is unknown.
    """
    known = list(cells)
    for cell in known:
        if cell.patient is None:
            raise MalscanError(
                f"no patient known for {cell.path}. A split by patient needs names like those of "
                "the NIH/NLM archive (C12..._IMG_...), or --patient-map, --patient-pattern or "
                "--patient-folders. Where patients are unknown, --split cell does without, and "
                "its figures are too good."
            )
    return known


def read_patient_list(path: Path) -> frozenset[str]:
    """Patients named in a file, one a line; empty lines and lines after `#` do not count.

    Raises:
        MalscanError: the file cannot be read or names nobody.
    """
    lines = _read_text(path, "patient list").splitlines()
    patients = frozenset(name for line in lines if (name := line.partition("#")[0].strip()))
    if not patients:
        raise MalscanError(f"the patient list {path} names no patient")
    return patients


def patients_of(cells: Iterable[CellImage]) -> list[str]:
    """Patients of some cells as far as they are known, each once, sorted by number."""
    names = {cell.patient for cell in cells if cell.patient is not None}
    return sorted(names, key=lambda name: (len(name), name))


def _rule_of_pattern(pattern: re.Pattern[str]) -> PatientRule:
    def rule(path: str) -> str | None:
        found = pattern.search(path)
        if found is None:
            return None
        return (found[1] if pattern.groups else found[0]) or None

    return rule


def _patient_of_folder(path: str) -> str | None:
    """The outermost folder below the data folder that is no class folder."""
    return next((part for part in path.split("/")[:-1] if not class_of_folder(part)), None)


def _read_maps(paths: Iterable[Path]) -> PatientRule:
    """The rule of some tables: by the path as it stands there, else by the name of the file."""
    by_path: dict[str, str] = {}
    of_name: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        for listed, patient in _read_map(path):
            if by_path.setdefault(listed, patient) != patient:
                raise MalscanError(
                    f"{path}: {listed} is of patient {patient} here and of {by_path[listed]} "
                    "elsewhere"
                )
            of_name[listed.rsplit("/", 1)[-1]].add(patient)

    def rule(path: str) -> str | None:
        if found := by_path.get(path):
            return found
        patients = of_name.get(path.rsplit("/", 1)[-1], set())
        return next(iter(patients)) if len(patients) == 1 else None

    return rule


def _read_map(path: Path) -> list[tuple[str, str]]:
    """Pairs of path or name and patient, from a table with a header or an official mapping."""
    text = _read_text(path, "patient map")
    lines = text.splitlines()
    header = [name.strip().lower() for name in next(csv.reader(lines), [])]
    if {"path", "patient"} <= set(header):
        rows = csv.DictReader(lines[1:], header)
        found = [(row["path"] or "", row["patient"] or "") for row in rows]
    else:
        found = _read_official(path, text)
    pairs = [(name, patient) for name, patient in found if name and patient]
    if not pairs:
        raise MalscanError(f"the patient map {path} names no patient. {_HOW_TO_MAP}")
    return pairs


def _read_official(path: Path, text: str) -> list[tuple[str, str]]:
    try:
        slides = parse_mapping(text)
    except MalscanError as error:
        raise MalscanError(f"cannot use the patient map {path}: {error}. {_HOW_TO_MAP}") from None
    return [(name, _patient_of_slide(slide)) for name, slide in slides.items()]


def _patient_of_slide(slide: str) -> str:
    found = _SLIDE_ID.match(slide)
    return found[0] if found else slide


def _read_text(path: Path, kind: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MalscanError(f"cannot read the {kind} {path}: {error}") from None
