"""Is a folder whole: every image there, of the right size, and nothing else."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from malscan.errors import ExitCode, MalscanError
from malscan.fetch.archive import Archive
from malscan.fetch.layout import Layout
from malscan.fetch.listener import SILENT, FetchListener, Phase
from malscan.fetch.manifest import Manifest, read_manifest
from malscan.fetch.patients import count_patients
from malscan.fetch.settings import CheckSettings
from malscan.image_names import IMAGE_SUFFIXES, is_litter
from malscan.labels import CLASSES, class_of_path
from malscan.memory import loading_tensorflow


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a folder holds.

    Attributes:
        layout: where it lies.
        manifest: what it must hold; None where nothing tells.
        sizes: size in bytes by place of the images that are there.
        missing: places of images that are not there.
        resized: places of images of another size than they were unpacked with.
        strangers: what does not belong there, relative to `cell_images`.
        unreadable: images that cannot be decoded, each with the reason.
        faults: further lines about what is wrong.
    """

    layout: Layout
    manifest: Manifest | None
    sizes: dict[str, int]
    missing: list[str]
    resized: list[str]
    strangers: list[str]
    unreadable: list[tuple[str, str]]
    faults: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        lists = (self.missing, self.resized, self.strangers, self.unreadable, self.faults)
        return not any(lists)

    @property
    def exit_code(self) -> ExitCode:
        """`OK` or `FAILED`."""
        return ExitCode.OK if self.is_whole else ExitCode.FAILED

    def count(self, label: str) -> int:
        """How many images of a class are there."""
        return sum(class_of_path(place) == label for place in self.sizes)

    def patients(self, label: str | None = None) -> int:
        """How many patients the images are of, or those of one class."""
        return count_patients(p for p in self.sizes if label in (None, class_of_path(p)))


def check(settings: CheckSettings, listener: FetchListener = SILENT) -> CheckResult:
    """Check a folder that was fetched into; without a manifest, against the published counts.

    Args:
        settings: which folder, and how closely.
        listener: whom to tell how it goes.

    Raises:
        MalscanError: a folder cannot be read.
    """
    layout = Layout(settings.dest)
    manifest = read_manifest(layout.manifest)
    sizes, strangers = _listed(layout.cells)
    expected = manifest.images if manifest else {}
    unknown = sizes.keys() - expected.keys() if manifest else set()
    resized = [p for p, size in sizes.items() if p in expected and size != expected[p]]
    result = CheckResult(
        layout=layout,
        manifest=manifest,
        sizes={place: size for place, size in sizes.items() if place not in unknown},
        missing=sorted(expected.keys() - sizes.keys()),
        resized=sorted(resized),
        strangers=sorted([*strangers, *unknown]),
        unreadable=[],
        faults=_patients_faults(layout, manifest),
    )
    if manifest is None:
        result.faults.extend(_count_faults(result, settings.published))
    if settings.decode:
        result.unreadable.extend(_undecodable(layout.cells, list(sizes), listener))
    return result


def _listed(cells: Path) -> tuple[dict[str, int], list[str]]:
    """Sizes of the images in the class folders, and whatever else lies there."""
    sizes: dict[str, int] = {}
    strangers = []
    folders = {label.capitalize() for label in CLASSES}
    for entry in _entries(cells):
        if entry.name in folders and entry.is_dir(follow_symlinks=False):
            for image in _entries(Path(entry.path)):
                place = f"{entry.name}/{image.name}"
                if not image.is_file(follow_symlinks=False) or not _is_image(image.name):
                    strangers.append(place)
                    continue
                with suppress(FileNotFoundError):
                    sizes[place] = image.stat(follow_symlinks=False).st_size
        else:
            strangers.append(entry.name)
    return sizes, strangers


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower().encode() in IMAGE_SUFFIXES


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                # macOS puts its twin of a file, `._NAME`, on foreign disks.
                if not is_litter(entry.name):
                    yield entry
    except FileNotFoundError:
        return
    except OSError as error:
        raise MalscanError(
            f"cannot read {folder}: {error.strerror}. Check what lies there."
        ) from None


def _patients_faults(layout: Layout, manifest: Manifest | None) -> list[str]:
    """What is wrong with `patients.csv`."""
    if manifest is None or manifest.patients_sha256 is None:
        return []
    try:
        data = layout.patients.read_bytes()
    except OSError as error:
        return [f"{layout.patients} cannot be read: {error.strerror}"]
    if hashlib.sha256(data).hexdigest() != manifest.patients_sha256:
        return [f"{layout.patients} is not as it was written"]
    return []


def _count_faults(result: CheckResult, published: Archive) -> list[str]:
    """What is wrong with a folder of which only the published counts are known."""
    faults = []
    for label in CLASSES:
        if result.count(label) != published.images_per_class:
            faults.append(f"{result.count(label)} {label} images, not {published.images_per_class}")
    if result.patients() != published.patients:
        faults.append(f"{result.patients()} patients, not {published.patients}")
    return faults


def _undecodable(
    cells: Path, places: list[str], listener: FetchListener
) -> Iterator[tuple[str, str]]:
    """Images that a scan would not take; only here TensorFlow is loaded."""
    with loading_tensorflow():
        from malscan.decode import decode
        from malscan.picture import UnreadableImageError

    listener.on_phase(Phase("Decoding", "images", len(places)))
    for done, place in enumerate(sorted(places), start=1):
        try:
            decode((cells / place).read_bytes())
        except UnreadableImageError as error:
            yield place, str(error)
        except OSError as error:
            yield place, error.strerror or str(error)
        listener.on_progress(done)
