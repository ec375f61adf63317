"""The parts of a data set: dealt out, read, and rid of what must not be learnt from."""

from dataclasses import dataclass
from pathlib import Path

from malscan.dataset import LabelledCells, check_failed
from malscan.errors import MalscanError
from malscan.patients import read_patient_list, with_known_patient
from malscan.preprocess import Preprocessing
from malscan.seen import PARTS_SEEN, SeenImages, find_copies
from malscan.split import Split, split_as_notebook, split_by_cell, split_by_patient
from malscan.split_file import read_split
from malscan.training.cells import Cells, cache_for, load_cells
from malscan.training.listener import TrainListener
from malscan.training.recipe import SplitKind
from malscan.training.settings import Cache, SplitSettings, TrainSettings

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Parts:
    """The cells of a training by part; `test` may have none.

    Attributes:
        train: cells to learn from.
        validation: cells to choose epoch, temperature and threshold by.
        test: cells that nothing is chosen by.
        failed: images that could not be read, each with the reason.
        contradictory: images left out because the same pixels have both labels.
        copies: images left out because a later part has the same pixels.
    """

    train: Cells
    validation: Cells
    test: Cells
    failed: list[tuple[str, str]]
    contradictory: int
    copies: int

    def by_name(self) -> dict[str, Cells]:
        """The parts by name, in the order of their use."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def measured(self) -> tuple[str, Cells]:
        """The part that figures are measured on: test, or validation where there is no test."""
        name = "test" if len(self.test) else "validation"
        return name, self.by_name()[name]

    def seen(self) -> SeenImages:
        """The images that the model will have seen."""
        return SeenImages.of(
            (int(digest), name, image.patient or "")
            for name in PARTS_SEEN
            for digest, image in zip(
                self.by_name()[name].hashes, self.by_name()[name].images, strict=True
            )
        )


def make_split(settings: SplitSettings, seed: int, labelled: LabelledCells) -> Split:
    """Deal the cells out as the settings ask.

    Raises:
        MalscanError: a patient is not known, a part lacks a class, or the split file does not
            match the data.
    """
    shares = {"validation_share": settings.validation_share, "test_share": settings.test_share}
    if settings.file is not None:
        by_cell = settings.kind is not SplitKind.PATIENT
        if not by_cell:
            with_known_patient(labelled.cells)
        return read_split(settings.file, labelled, patients_may_straddle=by_cell)
    if settings.kind is SplitKind.NOTEBOOK:
        return split_as_notebook(labelled.cells)
    if settings.kind is SplitKind.CELL:
        return split_by_cell(labelled.cells, seed=seed, **shares)
    cells, chosen = with_known_patient(labelled.cells), settings.test_patients
    tested = read_patient_list(chosen) if chosen else frozenset()
    return split_by_patient(cells, seed=seed, test_patients=tested, **shares)


def load_parts(
    settings: TrainSettings,
    split: Split,
    preprocessing: Preprocessing,
    state: Path,
    listener: TrainListener,
) -> Parts:
    """Read the images of all parts.

    Args:
        settings: what is trained.
        split: the parts.
        preprocessing: what the network wants.
        state: folder for a cache on disk.
        listener: whom to tell.

    Raises:
        MalscanError: too many images cannot be read, or too few are left.
    """
    images = sum(map(len, split.parts().values()))
    cache = cache_for(images, preprocessing, settings.machine.cache)
    if cache is not settings.machine.cache and cache is Cache.NONE:
        listener.on_message(
            "Decoded images would not fit into a quarter of the memory: decoding them anew in "
            "each epoch (--cache disk is faster, where there is room)"
        )
    loaded = {
        name: load_cells(
            part,
            preprocessing,
            cache=cache,
            cache_file=state / f"{name}.cache",
            any_size=settings.data.any_size,
            on_images=lambda done: listener.on_reading(done, images),
        )
        for name, part in split.parts().items()
    }
    failed = [(image.path, reason) for part in loaded.values() for image, reason in part.failed]
    check_failed(failed, images, allowed=settings.allow_failed)
    parts = _without_copies(loaded, failed, listener)
    for name, part in parts.by_name().items():
        if not split.parts()[name]:
            continue
        patients = len({image.patient for image in part.images} - {None})
        known = f" of {patients} patients" if patients else ""
        listener.on_message(f"{name}: {len(part)} cells{known}")
        if len(set(part.classes.tolist())) < 2:
            raise MalscanError(f"the {name} part has only one class left after reading")
    return parts


def _without_copies(
    loaded: dict[str, Cells], failed: list[tuple[str, str]], listener: TrainListener
) -> Parts:
    """Leave out of train and validation what contradicts itself or stands in a later part.

    Test cells are never dropped: they are what the figures are about.
    """
    names = list(loaded)
    placed = [(name, i) for name in names for i in range(len(loaded[name]))]
    copies = find_copies(
        [int(digest) for name in names for digest in loaded[name].hashes],
        [bool(positive) for name in names for positive in loaded[name].positive],
        [names.index(name) for name, _ in placed],
    )
    out: dict[str, set[int]] = {name: set() for name in names}
    contradictory = [p for group in copies.contradictions for p in group if placed[p][0] != "test"]
    for place in [*contradictory, *copies.across]:
        name, i = placed[place]
        out[name].add(i)

    def path(place: int) -> str:
        name, i = placed[place]
        return loaded[name].images[i].path

    for group in copies.contradictions[:_SHOWN]:
        listener.on_message(
            f"Warning: the same pixels have both labels: {' and '.join(map(path, group))}"
        )
    if copies.contradictions:
        listener.on_message(
            f"Warning: {len(copies.contradictions)} groups of images have the same pixels in both "
            f"classes: left {len(contradictory)} of them out of train and validation"
        )
    if copies.across:
        listener.on_message(
            f"Warning: left out {len(copies.across)} images whose pixels stand in a later part, "
            f"too, such as {path(copies.across[0])}"
        )
    if copies.within:
        listener.on_message(f"{copies.within} images repeat the pixels of others of their part")
    kept = {name: part.without(out[name]) for name, part in loaded.items()}
    across = len(set(copies.across) - set(contradictory))
    return Parts(**kept, failed=failed, contradictory=len(contradictory), copies=across)
