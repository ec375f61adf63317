"""What changes of the training recipe bring, by patient, on folds of a cross-validation.

    python benchmarks/recipes.py DATA --out DIR [--recipes NAME ...] [--folds 1 2 3 4 5]

DATA is a folder with the class folders of the NIH/NLM archive. Patients of
benchmarks/test-patients.txt take no part; the others are dealt into five folds as by `malscan
train --folds 5 --test-patients benchmarks/test-patients.txt`. Each recipe is trained on each fold
by `malscan train` with the options below, and measured on the patients of the fold: on their
cells as published, and on 1,500 of them changed as other laboratories might show them (no mask,
neighbours, other stain and light, blur, noise, JPEG, other magnification). Models that lie in DIR
already are not trained again; a recipe with teachers needs theirs there, and `views` and
`together` average the probabilities of models that are. The table goes to standard output.
"""

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from unlike import cut_out, natural_background, read, variants

from malscan.dataset import LabelledCells, labelled_cells
from malscan.kernel import Kernel
from malscan.metrics import Judged, figures
from malscan.model import load_model
from malscan.patients import read_patient_list
from malscan.pipeline import full_batch
from malscan.predictor import Classifier, classifier, rebuild
from malscan.preprocess import Preprocessing, resize
from malscan.settings import DEFAULT_BATCH_SIZE, DataSettings
from malscan.split import Split, split_into_folds
from malscan.split_file import write_split

TEST_PATIENTS = Path(__file__).parent / "test-patients.txt"
FOLDS = 5
REDRAWN = 1500
HOME = ("accuracy", "sensitivity", "specificity", "roc_auc", "expected_calibration_error")
FOREIGN = (
    "natural background in place of black",
    "stain: bluish and weak",
    "stain: channels mixed at random (0.2 about identity)",
    "30 % darker",
    "20 % brighter",
    "blur, Gaussian of 2 px",
    "noise, 20 of 255",
    "JPEG of quality 30",
    "half the pixels on a side",
)
REDRAWN_FIGURES = ("foreign AUC", "least", "foreign specificity", "least")
_AVERAGE = ["--average", "0.998"]
RECIPES: dict[str, list[str]] = {
    "plain": [],
    "half": ["--epochs", "48"],
    "small-batches": ["--epochs", "24", "--batch-size", "32", "--learning-rate", "0.002"],
    "best": ["--keep", "best"],
    "average": _AVERAGE,
    "mixup": [*_AVERAGE, "--mixup", "0.2"],
    "taught": [
        *_AVERAGE,
        "--teacher",
        "{out}/plain/fold-{fold}",
        "--teacher",
        "{out}/average/fold-{fold}",
    ],
    "swift": ["--network", "swift"],
}
COMBINED = {"views": ["plain"], "together": ["plain", "average", "taught", "swift"]}
"""Recipes whose probabilities are averaged; `views` over the eight flips and turns of a cell."""

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """A trained model, ready to run."""

    classify: Classifier
    preprocessing: Preprocessing
    threshold: float


@dataclass(frozen=True)
class Result:
    """What a recipe came to on one fold."""

    home: list[float]
    ranking: dict[str, float]
    specificity: dict[str, float]
    seconds: float | None


def main() -> None:
    """Train what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    names = [*RECIPES, *COMBINED]
    parser.add_argument("--recipes", nargs="+", choices=names, default=names)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(1, FOLDS + 1)))
    args = parser.parse_args()
    labelled = without_test_patients(labelled_cells(DataSettings(args.data)))
    splits = split_into_folds(labelled.cells, folds=FOLDS, seed=0, validation_share=0.1)
    print("| recipe | fold | " + " | ".join([*HOME, *REDRAWN_FIGURES, "CPU min"]) + " |")
    print("|---" * (len(HOME) + len(REDRAWN_FIGURES) + 3) + "|")
    for fold in args.folds:
        split = splits[fold - 1]
        for recipe in args.recipes:
            seconds = None
            if recipe in RECIPES:
                options = [option.format(out=args.out, fold=fold) for option in RECIPES[recipe]]
                seconds = trained(args.out / recipe / f"fold-{fold}", options, split, labelled)
            folders = [args.out / name / f"fold-{fold}" for name in COMBINED.get(recipe, [recipe])]
            members = [member(folder) for folder in folders]
            result = measured(members, recipe == "views", split, seconds)
            print_result(recipe, fold, result)


def without_test_patients(labelled: LabelledCells) -> LabelledCells:
    """The cells that choices may be made by."""
    apart = read_patient_list(TEST_PATIENTS)
    cells = [cell for cell in labelled.cells if cell.patient and cell.patient not in apart]
    return LabelledCells(cells, labelled.root, labelled.notes)


def trained(out: Path, options: list[str], split: Split, labelled: LabelledCells) -> float | None:
    """Train a model unless it is there; CPU seconds. Teachers are timed apart."""
    if (out / "model.json").exists():
        return None
    out.parent.mkdir(parents=True, exist_ok=True)
    cells = out.with_name(f"{out.name}-cells")
    link(split, labelled, cells)
    file = out.with_name(f"{out.name}-split.csv")
    write_split(file, split, labelled)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["train", cells, "--split-file", file, "--out", out, "--quiet", *options]
    subprocess.run([sys.executable, "-m", "malscan", *map(str, command)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def link(split: Split, labelled: LabelledCells, target: Path) -> None:
    """A folder of hard links to the cells of a split: a split file names all of its data."""
    for cell in (cell for part in split.parts().values() for cell in part):
        place = target / labelled.name(cell)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.hardlink_to(cell.path)


def member(folder: Path) -> Member:
    """A model that was trained."""
    model = load_model(folder)
    preprocessing = Preprocessing(model.size, Kernel(model.kernel), model.rescale)
    classify = classifier(rebuild(model), preprocessing, model.temperature)
    return Member(classify, preprocessing, model.threshold)


def measured(members: list[Member], views: bool, split: Split, seconds: float | None) -> Result:
    """The figures of models together on the test part of a fold, and on variants of it."""
    published = [read(cell.path) for cell in split.test]
    positive = np.array([cell.label == "parasitized" for cell in split.test])
    patients = [str(cell.patient) for cell in split.test]
    probability = mean_probability(members, published, views)
    judged = Judged(positive, probability, patients, members[0].threshold)
    home = figures(judged, draws=1)
    ranking, specificity = {}, {}
    for name, originals, labels in redrawn(split):
        probability = mean_probability(members, originals, views)
        ranking[name] = float(roc_auc_score(labels, probability))
        healthy = probability[~np.array(labels)]
        specificity[name] = float((healthy < members[0].threshold).mean())
    return Result([home[name].value or 0.0 for name in HOME], ranking, specificity, seconds)


def redrawn(split: Split) -> Iterator[tuple[str, list[tf.Tensor], list[bool]]]:
    """Some test cells of a split in each variant; what is random is drawn anew for each cell."""
    rng = np.random.default_rng(2)
    chosen = [split.test[place] for place in rng.permutation(len(split.test))[:REDRAWN]]
    originals = [read(cell.path) for cell in chosen]
    positive = [cell.label == "parasitized" for cell in chosen]
    for name in FOREIGN:
        yield name, [tf.constant(variants(rng)[name](one, rng)) for one in originals], positive
    yield "among neighbours", [among_neighbours(one, originals, rng) for one in originals], positive


def among_neighbours(cell: Pixels, others: list[Pixels], rng: np.random.Generator) -> tf.Tensor:
    """The cell as a loose box would show it: on plasma, with parts of other cells around it."""
    height, width = (round(1.25 * side) for side in cell.shape[:2])
    field = np.zeros([height, width, 3], np.uint8)
    for _ in range(3):
        other = others[rng.integers(len(others))]
        angle = rng.uniform(0, 2 * np.pi)
        row = height / 2 + np.sin(angle) * (cell.shape[0] + other.shape[0]) / 2
        column = width / 2 + np.cos(angle) * (cell.shape[1] + other.shape[1]) / 2
        lay(other, field, row, column)
    lay(cell, field, height / 2, width / 2)
    return tf.constant(natural_background(field, rng))


def lay(cell: Pixels, field: Pixels, row: float, column: float) -> None:
    """Lay a cell, but not the black around it, into a field, its middle at a place."""
    top, left = round(row - cell.shape[0] / 2), round(column - cell.shape[1] / 2)
    rows = slice(max(0, top), max(0, min(field.shape[0], top + cell.shape[0])))
    columns = slice(max(0, left), max(0, min(field.shape[1], left + cell.shape[1])))
    seen = cell[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    place = field[rows, columns]
    place[:] = np.where(cut_out(seen), seen, place)


def mean_probability(
    members: list[Member], originals: list[tf.Tensor], views: bool
) -> Probabilities:
    """Probability of parasitized of each cell, averaged over models, and over views of a cell."""
    found = []
    for one in members:
        pixels = np.concatenate([resize([cell], one.preprocessing) for cell in originals])
        for turns, flipped in np.ndindex(4, 2) if views else [(0, 0)]:
            seen = np.rot90(pixels[:, :, ::-1] if flipped else pixels, turns, axes=(1, 2))
            found.append(probabilities(one.classify, seen))
    return np.mean(found, axis=0, dtype=np.float64)


def probabilities(classify: Classifier, pixels: Pixels) -> npt.NDArray[np.float32]:
    """Probability of parasitized of each cell."""
    found = []
    for start in range(0, len(pixels), DEFAULT_BATCH_SIZE):
        batch = tf.constant(pixels[start : start + DEFAULT_BATCH_SIZE])
        found.append(classify(full_batch(batch, DEFAULT_BATCH_SIZE)).numpy()[: batch.shape[0]])
    return np.concatenate(found)


def print_result(recipe: str, fold: int, result: Result) -> None:
    """One row of the table."""
    home = " | ".join(f"{value:.4f}" for value in result.home)
    foreign = " | ".join(mean_and_least(found) for found in (result.ranking, result.specificity))
    cost = "" if result.seconds is None else f"{result.seconds / 60:.1f}"
    print(f"| {recipe} | {fold} | {home} | {foreign} | {cost} |", flush=True)


def mean_and_least(found: dict[str, float]) -> str:
    """Two fields of a row: the mean over all variants, and the least with its name."""
    least = min(found, key=lambda name: found[name])
    return f"{np.mean(list(found.values())):.4f} | {found[least]:.4f} ({least})"


if __name__ == "__main__":
    main()
