"""Small archives in the layout of the published one, with the files beside it."""

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from malscan.fetch.archive import PUBLISHED, Archive, MappingFile
from malscan.labels import CLASSES, patient_of_path


def images_of(cells: Path) -> dict[str, bytes]:
    """Images under two class folders, by place."""
    paths = sorted(cells.rglob("*.png"))
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths}


def tiny_images(patients: int, each: int) -> dict[str, bytes]:
    """Files with the names of images, which nothing needs to decode."""
    return {
        f"{label.capitalize()}/C{patient}P{patient}thinF_IMG_20150101_120000_cell_{cell}.png": (
            f"{label} {patient} {cell}".encode()
        )
        for label in CLASSES
        for patient in range(1, patients + 1)
        for cell in range(1, each + 1)
    }


def write_archive(
    path: Path,
    images: Mapping[str, bytes],
    *,
    roots: Iterable[str] = ("cell_images/",),
    more: Mapping[str, bytes] | None = None,
) -> None:
    """Write a ZIP: folders, images and a `Thumbs.db` in each class folder, under each root."""
    with zipfile.ZipFile(path, "w") as archive:
        for root in roots:
            if root:
                archive.writestr(root, b"")
            for label in CLASSES:
                archive.writestr(f"{root}{label.capitalize()}/", b"")
                archive.writestr(f"{root}{label.capitalize()}/Thumbs.db", b"\xd0\xcf" * 50)
            for place, data in images.items():
                archive.writestr(root + place, data)
        for name, data in (more or {}).items():
            archive.writestr(name, data)


def mapping_text(places: Iterable[str], label: str) -> str:
    """A mapping file, odd as the published ones are."""
    names = sorted(
        name for place in places for folder, name in [place.split("/")] if folder.lower() == label
    )
    rows = [
        f"{slide},[{', '.join(repr(name) for name in of_slide)}],,,,\r\n"
        for slide, of_slide in groupby(names, key=lambda name: name.split("_IMG_")[0])
    ]
    return "".join(rows)


def publish(folder: Path, images: Mapping[str, bytes]) -> Archive:
    """Write an archive and its mapping files to a folder.

    Returns:
        What is known of the archive; it has no addresses yet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cell_images.zip"
    write_archive(path, images)
    mappings = []
    for known in PUBLISHED.mappings:
        text = mapping_text(images, known.label).encode()
        (folder / known.name).write_bytes(text)
        mappings.append(MappingFile(known.label, known.name, hashlib.sha256(text).hexdigest()))
    return Archive(
        urls=(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
        images_per_class=len(images) // 2,
        patients=len({patient_of_path(place) for place in images}),
        mappings=tuple(mappings),
    )


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
