"""The corpus: so many files, the same ones for the same seed, a folder for each kind of damage."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from damaged.damage import GENERAL, Damage
from damaged.damage_jpeg import SURGERY as JPEG
from damaged.damage_others import BMP, GIF, TIFF, WEBP
from damaged.damage_png import SURGERY as PNG
from damaged.whole import Whole, whole_files

UNDAMAGED = "undamaged"
_BY_FAMILY = {"PNG": PNG, "JPEG": JPEG, "TIFF": TIFF, "BMP": BMP, "GIF": GIF, "WebP": WEBP}


@dataclass(frozen=True, slots=True)
class Specimen:
    """One file of the corpus.

    Attributes:
        damage: what was done to it, such as `PNG: checksum wrong`.
        variety: what kind of file it was before.
        path: its place below the folder of the corpus.
        data: its bytes.
    """

    damage: str
    variety: str
    path: str
    data: bytes


def specimens(count: int, seed: int = 0) -> Iterator[Specimen]:
    """Make files, going round all kinds of damage and all kinds of files.

    Args:
        count: number of files.
        seed: the same seed gives the same files.
    """
    rng = np.random.default_rng(seed)
    turns = _turns(rng)
    for number, (damage, file, change) in enumerate(islice(turns, count)):
        data = file.data if change is None else change(rng, file)
        folder = damage.replace(": ", "-").replace(", ", "-").replace(" ", "_").replace("'", "")
        path = f"{folder}/{number:05}.{file.suffix}"
        yield Specimen(damage, file.variety, path, data)


def write(found: Iterator[Specimen], folder: Path) -> Iterator[Specimen]:
    """Write files below a folder as they pass by."""
    for one in found:
        path = folder / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)
        yield one


def _turns(rng: np.random.Generator) -> Iterator[tuple[str, Whole, Damage | None]]:
    """Each round takes every kind of damage once, to the next file of a format that it fits."""
    files = whole_files(rng)
    rng.shuffle(files)  # type: ignore[arg-type]
    every = cycle(files)
    of_family = {
        family: cycle([file for file in files if file.family == family]) for family in _BY_FAMILY
    }
    yield from ((UNDAMAGED, file, None) for file in files)
    while True:
        yield UNDAMAGED, next(every), None
        for name, damage in GENERAL.items():
            yield name, next(every), damage
        for family, damages in _BY_FAMILY.items():
            for name, damage in damages.items():
                yield f"{family}: {name}", next(of_family[family]), damage
