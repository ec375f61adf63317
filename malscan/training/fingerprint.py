"""What a training depends on, in short: data, split, settings, versions."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from malscan.dataset import LabelledCells
from malscan.model import Model
from malscan.split import Split
from malscan.training.settings import TrainSettings
from malscan.versions import versions


def fingerprint(
    settings: TrainSettings,
    labelled: LabelledCells,
    split: Split,
    policy: str,
    source: Model | None,
    teachers: Sequence[Model] = (),
) -> dict[str, Any]:
    """All that must be the same for a killed training to go on where it was; plain JSON."""
    return {
        "data": data_fingerprint(labelled),
        "split_sha256": _digest(
            f"{name}\t{labelled.name(cell)}"
            for name, part in split.parts().items()
            for cell in part
        ),
        "network": source.network if source else str(settings.network),
        "started_from": source.sha256 if source else None,
        "teachers": [model.sha256 for model in teachers],
        "recipe": asdict(settings.recipe),
        "precision": policy,
        "any_size": settings.data.any_size,
        "deterministic": settings.machine.deterministic,
        "versions": versions(),
    }


def data_fingerprint(labelled: LabelledCells) -> dict[str, Any]:
    """Number of images, and a hash of their sorted names, labels and sizes in bytes."""
    rows = (f"{labelled.name(cell)}\t{cell.label}\t{_size(cell.path)}" for cell in labelled.cells)
    return {"images": len(labelled.cells), "sha256": _digest(sorted(rows))}


def _digest(lines: Iterable[str]) -> str:
    text = "".join(f"{line}\n" for line in lines)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return -1
