"""What a scan would do, found out without doing it (`--dry-run`)."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from malscan.errors import ExitCode, MalscanError
from malscan.model import Model, find_model, open_model
from malscan.report.names import STDOUT
from malscan.report.places import check_places
from malscan.report.row import written
from malscan.settings import ScanSettings
from malscan.walk import Walk, no_image_error

_FAILURES_KEPT = 10


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What a scan would do.

    Attributes:
        slides: images by slide, in the order of the walk.
        images: images in all.
        unreadable: how many of them are known to fail without being opened.
        failures: path and reason of the first few of these.
        skipped: entries passed over because they are hidden or no images.
        notes: parts of the tree that were left out on purpose.
        model: the model that would be used.
        model_path: where it lies.
        threshold: probability from which a cell would be called parasitized.
        writes: files and folders that would be made.
        replaces: files and folders that would be replaced.
        to_stdout: whether rows would go to stdout.
        exit_code: `SOME_UNREADABLE` if it is known already that an image fails, else `OK`.
    """

    slides: dict[str, int]
    images: int
    unreadable: int
    failures: list[tuple[str, str]]
    skipped: int
    notes: list[str]
    model: Model
    model_path: Path
    threshold: float
    writes: list[Path]
    replaces: list[Path]
    to_stdout: bool
    exit_code: ExitCode


def plan_scan(settings: ScanSettings, check: Callable[[], object] = lambda: None) -> ScanPlan:
    """Walk and look at everything that a scan would use; write nothing, open no image.

    Args:
        settings: as for the scan.
        check: called for each image; what it raises ends the walk.

    Raises:
        MalscanError: what would stop the scan before its first image.
    """
    model_path = find_model(settings.model)
    model = open_model(model_path, settings.keras_file)
    places = _places(settings)
    walk = Walk(settings.paths, listed=settings.listed, selection=settings.selection)
    slides: Counter[str] = Counter()
    failures: list[tuple[str, str]] = []
    unreadable = 0
    for image in walk:
        check()
        slides[written(image.slide)] += 1
        if image.error is not None:
            unreadable += 1
            failures += [(written(image.path), image.error)] if unreadable <= _FAILURES_KEPT else []
    if not walk.images and not settings.allow_empty:
        raise no_image_error(walk)
    clean = settings.keep_going or not unreadable
    return ScanPlan(
        slides=dict(slides),
        images=walk.images,
        unreadable=unreadable,
        failures=failures,
        skipped=walk.skipped,
        notes=walk.notes,
        model=model,
        model_path=model_path,
        threshold=model.threshold if settings.threshold is None else settings.threshold,
        writes=[place for place in places if not os.path.lexists(place)],
        replaces=[place for place in places if os.path.lexists(place)],
        to_stdout=STDOUT in settings.outs,
        exit_code=ExitCode.OK if clean else ExitCode.SOME_UNREADABLE,
    )


def _places(settings: ScanSettings) -> list[Path]:
    """Everything that the scan would leave, after making sure that it can."""
    places = check_places(settings)
    for place in places:
        if not os.access(Path(os.path.realpath(place)).parent, os.W_OK):
            raise MalscanError(f"cannot write {place}: its folder is not writable. Name another.")
    return places
