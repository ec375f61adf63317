"""Fetch: an archive of cells becomes a folder that can be trained on, whole or not at all."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from malscan.atomic import locked, write_atomically
from malscan.errors import MalscanError
from malscan.fetch.acquire import Acquired, Acquirer, Slides
from malscan.fetch.archive import Archive
from malscan.fetch.check import CheckResult, check
from malscan.fetch.contents import Member
from malscan.fetch.disk import writing
from malscan.fetch.layout import Layout
from malscan.fetch.listener import SILENT, FetchListener, Phase, stop_explained
from malscan.fetch.manifest import Manifest
from malscan.fetch.patients import (
    count_lacking,
    count_patients,
    csv_of,
    patient_rows,
    sample,
)
from malscan.fetch.settings import CheckSettings, FetchSettings
from malscan.fetch.unpack import opened, remove, unpack
from malscan.labels import CLASSES, class_of_path


@dataclass(frozen=True, slots=True)
class FetchResult:
    """A folder that is whole.

    Attributes:
        found: what it holds.
        already: whether it was so before.
        seconds: duration.
    """

    found: CheckResult
    already: bool
    seconds: float


def fetch(settings: FetchSettings, listener: FetchListener = SILENT) -> FetchResult:
    """Make a folder whole: `cell_images` with two class folders, and `patients.csv`.

    Whatever ends it, the same call goes on where it stopped.

    Args:
        settings: what to fetch, from where, and where to.
        listener: whom to tell how it goes.

    Raises:
        LockedError: another run fetches into the same folder.
        StoppedError: the listener ended it.
        MalscanError: the archive cannot be had, is not the one asked for or is not safe to
            unpack; the disk is full; something else lies in the place.
    """
    start = time.monotonic()
    dest = Path(os.path.realpath(settings.dest))
    with writing(dest):
        dest.mkdir(parents=True, exist_ok=True)
    layout = Layout(dest)
    with locked([layout.cells]):
        before = _look(settings)
        _refuse_what_is_not_ours(before, settings)
        already = _images_are_there(before, settings) and _patients_are_there(before, settings)
        job = _Fetch(settings, layout, listener, before)
        if not already:
            job.run()
        job.clear()
        found = before if already else _look(settings)
    if not found.is_whole:
        raise MalscanError(f"{settings.dest} changed while it was fetched into. Try again.")
    return FetchResult(found, already, time.monotonic() - start)


def _look(settings: FetchSettings) -> CheckResult:
    return check(CheckSettings(settings.dest, published=settings.published))


def _images_are_there(before: CheckResult, settings: FetchSettings) -> bool:
    manifest = before.manifest
    if manifest is None or before.missing or before.resized:
        return False
    return manifest.sample is None or manifest.sample == settings.sample


def _patients_are_there(before: CheckResult, settings: FetchSettings) -> bool:
    if before.manifest is None or before.manifest.patients_sha256 is None:
        return not settings.patients
    return not before.faults


def _refuse_what_is_not_ours(before: CheckResult, settings: FetchSettings) -> None:
    """Never replace what a fetch did not make."""
    layout, manifest = before.layout, before.manifest
    if layout.cells.is_symlink():
        raise MalscanError(f"{layout.cells} is a link. Name the folder it leads to as DEST.")
    if before.strangers:
        raise MalscanError(
            f"{layout.cells} holds {len(before.strangers)} files that are not of the archive, the "
            f"first is {before.strangers[0]}. Move them away, or name another DEST."
        )
    if manifest is None and settings.patients and os.path.lexists(layout.patients):
        raise MalscanError(
            f"{layout.patients} is there already, and not from a fetch. Move it away, or name "
            "another DEST."
        )
    wanted = settings.archive().sha256
    if manifest and before.sizes and wanted and manifest.sha256 != wanted:
        raise MalscanError(
            f"{layout.cells} comes from another archive, {manifest.source} (sha256 "
            f"{manifest.sha256}), not the one asked for ({wanted}). Name another DEST."
        )


class _Fetch:
    """One fetch into a folder whose lock is held."""

    def __init__(
        self,
        settings: FetchSettings,
        layout: Layout,
        listener: FetchListener,
        before: CheckResult,
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._listener = listener
        self._before = before
        self._acquirer = Acquirer(settings, layout, listener)

    def run(self) -> None:
        """Make the folder whole."""
        # The small files first: if they cannot be had, that is told before a long download.
        slides = self._acquirer.slides() if self._settings.patients else None
        manifest = self._before.manifest
        if manifest is not None and _images_are_there(self._before, self._settings):
            table = self._table(list(manifest.images), slides)
            self._write_tables(replace(manifest, patients_sha256=_sha256(table)), table)
        else:
            self._unpack(self._acquirer.archive(), slides)

    def clear(self) -> None:
        """Remove what a whole folder needs no more, also of earlier runs that were cut."""
        self._acquirer.clear()
        remove(self._layout.unpacking)
        remove(self._layout.replaced)

    def _unpack(self, acquired: Acquired, slides: Slides | None) -> None:
        with opened(acquired.path) as (archive, found):
            places = [image.place for image in found.images]
            _check_facts(self._settings.archive(), places)
            if slides is not None and (lacking := count_lacking(places, slides)):
                self._listener.on_message(
                    f"The mapping files name {lacking} images that the archive lacks."
                )
            self._check_replaceable(places)
            images = self._chosen(found.images)
            table = self._table([image.place for image in images], slides)
            if found.left_out:
                self._listener.on_message(
                    f"Left out {found.left_out} files of the archive that are no images."
                )
            self._listener.on_phase(Phase("Unpacking", "images", len(images)))
            with stop_explained("the archive is kept"):
                unpack(archive, images, self._layout.unpacking, self._listener.on_progress)
        manifest = Manifest(
            source=acquired.source,
            sha256=acquired.sha256,
            sample=self._settings.sample if len(images) < len(places) else None,
            images={image.place: image.size for image in images},
            patients_sha256=_sha256(table),
        )
        self._write_tables(manifest, table)
        self._swap()

    def _chosen(self, images: list[Member]) -> list[Member]:
        if self._settings.sample is None:
            return images
        chosen = set(sample([image.place for image in images], self._settings.sample))
        return [image for image in images if image.place in chosen]

    def _table(self, places: Sequence[str], slides: Slides | None) -> str | None:
        """The text of `patients.csv`."""
        if not self._settings.patients:
            return None
        return csv_of(patient_rows(places, slides))

    def _check_replaceable(self, places: Sequence[str]) -> None:
        """Without a manifest only the archive tells what is not of it."""
        if others := sorted(self._before.sizes.keys() - set(places)):
            raise MalscanError(
                f"{self._layout.cells} holds {len(others)} images that are not of the archive, "
                f"the first is {others[0]}. Move them away, or name another DEST."
            )

    def _write_tables(self, manifest: Manifest, table: str | None) -> None:
        # The manifest first: it marks patients.csv as made by a fetch.
        manifest.write(self._layout.manifest)
        if table is not None:
            write_atomically(self._layout.patients, table)
        elif self._before.manifest and self._before.manifest.patients_sha256:
            with writing(self._layout.patients):
                self._layout.patients.unlink(missing_ok=True)

    def _swap(self) -> None:
        """Put the complete folder into its place; a cut in between leaves no half folder."""
        layout = self._layout
        with writing(layout.cells):
            remove(layout.replaced)
            if layout.cells.exists():
                layout.cells.replace(layout.replaced)
            layout.unpacking.replace(layout.cells)


def _check_facts(archive: Archive, places: Sequence[str]) -> None:
    """Hold the table of contents against what is known of the archive."""
    counts = Counter(class_of_path(place) for place in places)
    for label in CLASSES:
        if archive.images_per_class not in (None, counts[label]):
            raise MalscanError(
                f"the archive holds {counts[label]} {label} images, not {archive.images_per_class}"
            )
    if archive.patients not in (None, count_patients(places)):
        raise MalscanError(
            f"the archive is of {count_patients(places)} patients, not {archive.patients}"
        )


def _sha256(table: str | None) -> str | None:
    return None if table is None else hashlib.sha256(table.encode()).hexdigest()
