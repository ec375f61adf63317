"""What bfloat16 costs and changes: a forward pass, and the calls for the cells of test patients.

    python benchmarks/precision.py DATA [--models DIR ...] [--patients FILE] [--rounds 10]

DATA is a folder with the class folders of the NIH/NLM archive, of which the cells of the patients
in FILE (benchmarks/test-patients.txt) count. Models are folders that `malscan train` left;
without, it is the embedded model. The time is that of a batch on one core, the least of the
rounds, in which precisions take turns. A call is changed where float32 and bfloat16 stand on two
sides of the model's threshold; the distances are those of the float32 probability from it.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from recipes import TEST_PATIENTS, Pixels, probabilities
from unlike import read

from malscan.dataset import labelled_cells
from malscan.hardware import has_bfloat16
from malscan.kernel import Kernel
from malscan.model import EMBEDDED, Model, load_model
from malscan.networks import NETWORKS
from malscan.operations import Weights
from malscan.patients import read_patient_list
from malscan.predictor import Classifier, classifier
from malscan.preprocess import Preprocessing, resize
from malscan.settings import DEFAULT_BATCH_SIZE, DataSettings, Precision

PRECISIONS = (Precision.FLOAT32, Precision.BFLOAT16)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, nargs="+", default=[EMBEDDED])
    parser.add_argument("--patients", type=Path, default=TEST_PATIENTS)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    if not has_bfloat16():
        raise SystemExit("This processor does not have bfloat16.")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    patients = read_patient_list(args.patients)
    cells = labelled_cells(DataSettings(args.data)).cells
    originals = [tf.constant(read(cell.path)) for cell in cells if cell.patient in patients]
    print(f"{len(originals)} cells of test patients")
    print("| network | float32 | bfloat16 | largest change | changed calls | their distance |")
    print("|---|---:|---:|---:|---:|---|")
    for folder in args.models:
        model = load_model(folder)
        preprocessing = Preprocessing(model.size, Kernel(model.kernel), model.rescale)
        pixels = np.concatenate([resize([cell], preprocessing) for cell in originals])
        print_row(model, pixels, [forward(model, preprocessing, one) for one in PRECISIONS], args)


def forward(model: Model, preprocessing: Preprocessing, precision: Precision) -> Classifier:
    """The network of a model in some numbers."""
    network = NETWORKS[model.network]
    return classifier(
        lambda pixels: network.compute(pixels, Weights(model), precision),
        preprocessing,
        model.temperature,
    )


def print_row(
    model: Model, pixels: Pixels, classifiers: list[Classifier], args: argparse.Namespace
) -> None:
    """One row of the table."""
    exact, short = (probabilities(classify, pixels) for classify in classifiers)
    changed = (exact >= model.threshold) != (short >= model.threshold)
    distances = np.abs(exact[changed] - model.threshold)
    far = f"{distances.min():.3f} to {distances.max():.3f}" if changed.any() else ""
    costs = " | ".join(f"{cost:,.0f}" for cost in microseconds(classifiers, pixels, args.rounds))
    largest = np.abs(exact - short).max()
    print(f"| `{model.network}` | {costs} | {largest:.2g} | {changed.sum()} | {far} |", flush=True)


def microseconds(classifiers: list[Classifier], pixels: Pixels, rounds: int) -> list[float]:
    """Processor time of an image in each precision."""
    batch = tf.constant(np.resize(pixels, (DEFAULT_BATCH_SIZE, *pixels.shape[1:])))
    least = [float("inf")] * len(classifiers)
    for _ in range(rounds):
        for place, classify in enumerate(classifiers):
            start = time.process_time()
            classify(batch).numpy()
            least[place] = min(least[place], time.process_time() - start)
    return [seconds / DEFAULT_BATCH_SIZE * 1e6 for seconds in least]


if __name__ == "__main__":
    main()
