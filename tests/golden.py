"""Probabilities of the embedded model on drawn cells, kept to be held against later ones.

    PYTHONPATH=examples python tests/golden.py

writes them anew, to `tests/golden/embedded.json`. That is right after the embedded model has been
trained again, and wrong after anything else: then something has changed what a cell is given.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from draw_cells import draw_slides

from malscan.model import EMBEDDED, load_model
from malscan.predictor import Predictor
from malscan.walk import CellImage, Walk

FILE = Path(__file__).parent / "golden" / "embedded.json"
SLIDES = {"small": (6, 6), "large": (6, 6)}
SIZES = {"small": 48, "large": 140}
SEED = 41


@dataclass(frozen=True, slots=True)
class Golden:
    """What a model gave to drawn cells.

    Attributes:
        model: sha256 of the model.
        probabilities: by place of the cell, such as `small/cell_0001.png`.
    """

    model: str
    probabilities: dict[str, float]


def measured(folder: Path) -> Golden:
    """What the embedded model gives now; the cells are drawn into an empty folder."""
    for slide, counts in SLIDES.items():
        draw_slides(folder, {slide: counts}, seed=SEED, size=SIZES[slide])
    model = load_model(EMBEDDED)
    images: list[CellImage] = list(Walk([str(folder)]))
    found = [one for lot in Predictor(model).predict(images, batch_size=8) for one in lot]
    return Golden(
        model.sha256,
        {
            str(Path(one.image.path).relative_to(folder)): float(one.probability or 0)
            for one in found
        },
    )


def kept() -> Golden:
    """What the file says."""
    facts = json.loads(FILE.read_text(encoding="utf-8"))
    return Golden(facts["model"], facts["probabilities"])


def main() -> None:
    """Write the file anew."""
    with tempfile.TemporaryDirectory() as folder:
        golden = measured(Path(folder))
    facts = {"model": golden.model, "probabilities": golden.probabilities}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {FILE} for model {golden.model[:12]}")  # noqa: T201


if __name__ == "__main__":
    main()
