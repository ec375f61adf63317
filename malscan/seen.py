"""Which images a model has seen, by the hashes of their pixels, and what to do about copies."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PARTS_SEEN = ("train", "validation")


@dataclass(frozen=True, slots=True)
class SeenImages:
    """Images that a model was trained and validated on.

    Attributes:
        hashes: uint64 [images], hashes of their pixels (see `malscan.pipeline.Loaded`).
        parts: uint8 [images], index into `PARTS_SEEN`.
        patients: uint32 [images], index into `names`.
        names: patients; empty text where the patient was not known.
    """

    hashes: npt.NDArray[np.uint64]
    parts: npt.NDArray[np.uint8]
    patients: npt.NDArray[np.uint32]
    names: list[str]

    @classmethod
    def of(cls, rows: Iterable[tuple[int, str, str]]) -> "SeenImages":
        """Seen images from rows of hash, part and patient."""
        listed = list(rows)
        names = sorted({patient for _, _, patient in listed})
        number = {name: i for i, name in enumerate(names)}
        return cls(
            np.array([digest for digest, _, _ in listed], np.uint64),
            np.array([PARTS_SEEN.index(part) for _, part, _ in listed], np.uint8),
            np.array([number[patient] for _, _, patient in listed], np.uint32),
            names,
        )

    def rows(self) -> list[tuple[int, str, str]]:
        """Hash, part and patient of each image."""
        return [
            (int(digest), PARTS_SEEN[part], self.names[patient])
            for digest, part, patient in zip(self.hashes, self.parts, self.patients, strict=True)
        ]

    def with_those_of(self, model: str, others: "SeenImages") -> "SeenImages":
        """These and what else another model has seen; its patients get its name before theirs."""
        mine = self.rows()
        known = {(digest, part) for digest, part, _ in mine}
        rows = [
            (digest, part, f"{model}/{patient}")
            for digest, part, patient in others.rows()
            if (digest, part) not in known
        ]
        return SeenImages.of(mine + rows)


@dataclass(frozen=True, slots=True)
class Copies:
    """Images with the same pixels as others.

    Attributes:
        contradictions: groups of places that have the same pixels and different labels.
        across: places whose pixels stand in a part of higher rank, too.
        within: number of images that repeat another of the same part and label.
    """

    contradictions: list[list[int]]
    across: list[int]
    within: int


def find_copies(
    hashes: Sequence[int] | npt.NDArray[np.uint64],
    positive: Sequence[bool] | npt.NDArray[np.bool_],
    ranks: Sequence[int],
) -> Copies:
    """Find images with the same pixels.

    Args:
        hashes: of the pixels of each image.
        positive: whether each is labelled parasitized.
        ranks: of the part of each image; a copy in a part of lower rank is one too many.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for place, digest in enumerate(hashes):
        groups[int(digest)].append(place)
    contradictions: list[list[int]] = []
    across: list[int] = []
    within = 0
    for places in groups.values():
        if len(places) == 1:
            continue
        if len({bool(positive[place]) for place in places}) > 1:
            contradictions.append(places)
        highest = max(ranks[place] for place in places)
        across += [place for place in places if ranks[place] < highest]
        within += len(places) - len({(ranks[place], bool(positive[place])) for place in places})
    return Copies(contradictions, sorted(across), within)
