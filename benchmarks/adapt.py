"""What adapting the embedded model to another microscope gains, on cells made to look foreign.

    python benchmarks/adapt.py DATA [--cells 300]

DATA is a folder with the class folders of the NIH/NLM archive. Cells of the 30 test patients,
whom the embedded model has never seen, are redrawn as another microscope might show them: a weak,
bluish stain, a bright background in place of the black one, out of focus, a little smaller. The
first 12 patients give the cells to adapt with, the other 18 measure: the embedded model before,
the adapted one after. Everything but the redrawing is done by the commands that a laboratory
would type.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from malscan.labels import patient_of_path
from malscan.metrics import label
from malscan.training.one_model import CARD_FIGURES

TEST_PATIENTS = Path(__file__).parent / "test-patients.txt"
ADAPTING = 12
CLASSES = ("Parasitized", "Uninfected")
STAIN = np.array([[0.62, 0.14, 0.12], [0.22, 0.66, 0.20], [0.10, 0.18, 0.62]])
BACKGROUND = (214, 221, 232)


def main() -> None:
    """Redraw, measure, adapt, measure again, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cells", type=int, default=300, help="cells to adapt with")
    args = parser.parse_args()
    names = TEST_PATIENTS.read_text(encoding="utf-8").splitlines()
    patients = [name for line in names if (name := line.partition("#")[0].strip())]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        own = redraw(args.data, work / "own", set(patients[:ADAPTING]), args.cells)
        kept = redraw(args.data, work / "kept", set(patients[ADAPTING:]), None)
        print(
            f"adapting with {own} cells of {ADAPTING} patients, measuring on {kept} of the others"
        )
        before = measure(work / "kept", work / "before", [])
        adapted = work / "adapted"
        malscan(
            *("train", work / "own", "--from", "embedded", "--out", adapted),
            *("--test-share", 0, "--validation-share", 0.25),
        )
        after = measure(work / "kept", work / "after", ["--model", adapted])
    print(f"{'figure':28} {'embedded model':>24} {'adapted model':>24}")
    for name in before:
        print(f"{name:28} {before[name]:>24} {after[name]:>24}")


def redraw(source: Path, target: Path, patients: set[str], most: int | None) -> int:
    """Copy the cells of some patients as another microscope shows them; at most so many."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (target / name).mkdir(parents=True)
    paths = sorted(path for name in CLASSES for path in (source / name).glob("*.png"))
    mine = [path for path in paths if patient_of_path(str(path)) in patients]
    chosen = mine if most is None else [mine[i] for i in rng.permutation(len(mine))[:most]]
    for path in chosen:
        with Image.open(path) as cell:
            foreign(cell.convert("RGB"), rng).save(target / path.parent.name / path.name)
    return len(chosen)


def foreign(cell: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One cell in a weak stain on a bright background, out of focus, at four fifths the size."""
    pixels = np.asarray(cell, np.float64) / 255
    cut_out = pixels.max(axis=2, keepdims=True) > 0
    stained = 0.25 + 0.7 * pixels @ STAIN.T
    stained *= rng.uniform(0.92, 1.08)
    whole = np.where(cut_out, stained, np.array(BACKGROUND) / 255)
    drawn = Image.fromarray((whole.clip(0, 1) * 255).astype(np.uint8))
    size = (max(1, cell.width * 4 // 5), max(1, cell.height * 4 // 5))
    return drawn.filter(ImageFilter.GaussianBlur(1.5)).resize(size)


def measure(cells: Path, out: Path, options: list[object]) -> dict[str, str]:
    """Evaluate a model and give its figures with their intervals over patients."""
    malscan("evaluate", cells, "--out", out, *options)
    found = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["figures"]
    return {
        label(name): "{value:.3f} ({low:.3f} to {high:.3f})".format(**found[name])
        for name in CARD_FIGURES
    }


def malscan(*args: object) -> None:
    """Run malscan as from a shell."""
    subprocess.run([sys.executable, "-m", "malscan", *map(str, args), "--quiet"], check=True)


if __name__ == "__main__":
    main()
