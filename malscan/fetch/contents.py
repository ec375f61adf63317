"""What of an archive is unpacked, and where to: decided from its table of contents alone."""

import os
import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from malscan.errors import MalscanError
from malscan.fetch.listener import in_bytes
from malscan.image_names import IMAGE_SUFFIXES
from malscan.labels import CLASSES, class_of_folder

MOST_IMAGES = 1_000_000
MOST_BYTES_PER_IMAGE = 16_000_000
MOST_BYTES = 8_000_000_000
MOST_GROWTH = 100
"""How many times larger than the archive its images may be; PNG hardly grow at all."""

_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Member:
    """An image in an archive.

    Attributes:
        entry: where it is in the archive.
        place: where it goes, as `Parasitized/NAME` or `Uninfected/NAME`.
        size: in bytes.
    """

    entry: zipfile.ZipInfo
    place: str
    size: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The images of an archive, by place, and how many other files are left out."""

    images: list[Member]
    left_out: int


def contents(archive: zipfile.ZipFile, size: int) -> Contents:
    """Read a table of contents.

    An image lies in a class folder, `Parasitized` or `Uninfected`, at any depth, so that a tree
    nested twice is laid flat; the second copy of an image is left out.

    Args:
        archive: the open archive.
        size: of the archive, in bytes.

    Raises:
        MalscanError: an entry that no archive of images needs, or no images of a class.
    """
    images: dict[str, Member] = {}
    left_out = 0
    for entry in archive.infolist():
        name = safe_name(entry)
        place = None if entry.is_dir() else _place(name)
        if place is None:
            left_out += not entry.is_dir()
            continue
        twin = images.setdefault(place, Member(entry, place, entry.file_size))
        if (twin.size, twin.entry.CRC) != (entry.file_size, entry.CRC):
            raise MalscanError(f"the archive holds two different images {place}. Get another one.")
    _check_sizes(images.values(), size)
    for label in CLASSES:
        if not any(place.startswith(f"{label.capitalize()}/") for place in images):
            raise MalscanError(
                f"the archive holds no {label} images: it needs two class folders, "
                "Parasitized and Uninfected."
            )
    return Contents([images[place] for place in sorted(images)], left_out)


def safe_name(entry: zipfile.ZipInfo) -> str:
    """The name of an entry, after making sure that it leads nowhere and is a plain file.

    Raises:
        MalscanError: an absolute name, one with `..` or odd characters, a link, a device, or an
            encrypted entry.
    """
    name = entry.orig_filename
    parts = name.split("/")
    mode = entry.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if parts[0] == "" or (len(parts[0]) == 2 and parts[0].endswith(":")):
        problem = "an absolute name"
    elif ".." in parts:
        problem = "a name that leads out of the folder"
    elif "\\" in name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        problem = "a name with odd characters"
    elif any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts):
        problem = "a name that is too long"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        problem = "a link or device"
    elif entry.flag_bits & 1:
        problem = "an encrypted file"
    else:
        return name
    raise MalscanError(
        f"the archive holds {problem}: {name[:200]!r}. It is not safe to unpack, so nothing was; "
        "get another one."
    )


def _place(name: str) -> str | None:
    """Where an image goes; None for what is no image, or lies in no class folder."""
    *folders, file = name.split("/")
    known = [found for folder in folders if (found := class_of_folder(folder))]
    # macOS puts a twin of every file into a folder of its own.
    hidden = file.startswith(".") or "__MACOSX" in folders
    if not known or hidden or Path(file).suffix.lower().encode() not in IMAGE_SUFFIXES:
        return None
    return f"{known[-1].capitalize()}/{file}"


def _check_sizes(images: Iterable[Member], size: int) -> None:
    """Refuse what no honest archive of cells would be."""
    sizes = [image.size for image in images]
    largest, total = max(sizes, default=0), sum(sizes)
    if len(sizes) > MOST_IMAGES:
        problem = f"{len(sizes)} images, more than {MOST_IMAGES}"
    elif largest > MOST_BYTES_PER_IMAGE:
        problem = f"an image of {in_bytes(largest)}, more than {in_bytes(MOST_BYTES_PER_IMAGE)}"
    elif total > min(MOST_BYTES, MOST_GROWTH * size):
        problem = f"{in_bytes(total)} of images in {in_bytes(size)}"
    else:
        return
    raise MalscanError(
        f"the archive claims {problem}. It is not safe to unpack, so nothing was; get another one."
    )
