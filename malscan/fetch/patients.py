"""`patients.csv`, whose blood each image is of, and samples by patient."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from hashlib import sha256
from itertools import groupby

from malscan.errors import MalscanError
from malscan.labels import CLASSES, class_of_path, patient_of_path
from malscan.place import CELLS

HEADER = ("path", "label", "slide_id", "patient")


@dataclass(frozen=True, slots=True)
class PatientRow:
    """One row of `patients.csv`.

    Attributes:
        path: of the image, from the folder that `patients.csv` lies in.
        label: `parasitized` or `uninfected`.
        slide_id: official id of the slide.
        patient: the C-number.
    """

    path: str
    label: str
    slide_id: str
    patient: str


def patient_rows(
    places: Iterable[str], slides: Mapping[str, Mapping[str, str]] | None
) -> list[PatientRow]:
    """The rows of `patients.csv`.

    Args:
        places: images as `Parasitized/NAME` or `Uninfected/NAME`.
        slides: slide id by image name, for each class; None takes the names' word.

    Raises:
        MalscanError: a name does not tell the patient, or the mapping does not agree with it.
    """
    rows = []
    for place in places:
        label, patient = class_of_path(place), patient_of_path(place)
        if label is None or patient is None:
            raise MalscanError(
                f"{place} does not tell its patient: that needs names like those of the NIH/NLM "
                "archive, C<number>..._IMG_.... Give --no-patients to do without."
            )
        name = place.rpartition("/")[2]
        slide = name.partition("_IMG_")[0]
        if slides is not None and (said := slides[label].get(name)) != slide:
            word = f"says {said}" if said else "does not know it"
            raise MalscanError(
                f"{place} is of slide {slide}, but the mapping file {word}. Get the mapping file "
                "that belongs to the archive, or give --no-patients."
            )
        rows.append(PatientRow(f"{CELLS}/{place}", label, slide, patient))
    return rows


def count_lacking(places: Iterable[str], slides: Mapping[str, Mapping[str, str]]) -> int:
    """How many images the mapping files name that an archive lacks."""
    here = set(places)
    return sum(
        f"{label.capitalize()}/{name}" not in here for label in CLASSES for name in slides[label]
    )


def csv_of(rows: Iterable[PatientRow]) -> str:
    """The text of `patients.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()


def count_patients(places: Iterable[str]) -> int:
    """How many patients the names of images tell of."""
    return len({patient for place in places if (patient := patient_of_path(place))})


def sample(places: Sequence[str], least: int) -> list[str]:
    """Images of the first few patients: at least so many, of both classes, none without the rest.

    The order of the patients is that of hashes of their numbers: the same on every machine, and
    a larger sample holds every smaller one.

    Args:
        places: all images as `Parasitized/NAME` or `Uninfected/NAME`.
        least: how many there must be; all images if there are fewer.

    Returns:
        The images, in the order given.

    Raises:
        MalscanError: a name does not tell the patient.
    """
    patient_of = {
        row.path.removeprefix(f"{CELLS}/"): row.patient for row in patient_rows(places, None)
    }
    by_patient = groupby(sorted(places, key=lambda place: _turn(patient_of[place])), patient_of.get)
    chosen: set[str] = set()
    for _, images in by_patient:
        if len(chosen) >= least and len({class_of_path(place) for place in chosen}) == len(CLASSES):
            break
        chosen.update(images)
    return [place for place in places if place in chosen]


def _turn(patient: str) -> str:
    return sha256(patient.encode()).hexdigest()
