"""What folder and file names say about a cell: its class, and the patient it came from."""

import re

from malscan.near import nearest

PARASITIZED = "parasitized"
UNINFECTED = "uninfected"
UNCERTAIN = "uncertain"
CLASSES = (PARASITIZED, UNINFECTED)
"""Class order of every network output: parasitized is 0, uninfected is 1."""

_FOLDER_NAMES = {
    "parasitized": PARASITIZED,
    "parasitised": PARASITIZED,
    "infected": PARASITIZED,
    "positive": PARASITIZED,
    "uninfected": UNINFECTED,
    "unparasitized": UNINFECTED,
    "unparasitised": UNINFECTED,
    "healthy": UNINFECTED,
    "negative": UNINFECTED,
}

_NIH_NAME = re.compile(r"(C\d+)[^/]*_IMG_")


def class_of_folder(name: str) -> str | None:
    """Class that a folder name stands for, in any case; None for any other name.

    >>> class_of_folder("Parasitized")
    'parasitized'
    """
    return _FOLDER_NAMES.get(name.strip().lower())


def class_folder_like(name: str) -> str | None:
    """Class folder name that a mistyped one was probably meant to be; None where none is near.

    >>> class_folder_like("Uninfekted")
    'uninfected'
    """
    return nearest(name.strip(), _FOLDER_NAMES, 0.75)


def class_of_path(path: str) -> str | None:
    """Class of the nearest class folder above an image; None where there is none."""
    for part in reversed(path.split("/")[:-1]):
        if found := class_of_folder(part):
            return found
    return None


def patient_of_path(path: str) -> str | None:
    """Patient that an image name of the NIH/NLM archive gives; None for other names.

    The part before `_IMG_` is the slide id, its leading C-number the patient: one patient
    photographed through two microscopes stays one.

    >>> patient_of_path("Uninfected/C47P8thin_Original_Motic_IMG_20150714_101240_cell_9.png")
    'C47'
    """
    found = _NIH_NAME.match(path.rsplit("/", 1)[-1])
    return found[1] if found else None
