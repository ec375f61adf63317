"""The model that comes with the package."""

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TEST_PATIENTS
from draw_cells import draw_labelled

from malscan.dataset import labelled_cells
from malscan.labels import PARASITIZED
from malscan.metrics import Judged, figures
from malscan.model import EMBEDDED, load_model, load_seen_images
from malscan.prediction import Prediction
from malscan.predictor import Predictor
from malscan.settings import DataSettings


def test_it_takes_at_most_3_mb_and_carries_a_card() -> None:
    files = [path for path in EMBEDDED.rglob("*") if path.is_file()]

    assert sum(path.stat().st_size for path in files) <= 3_000_000
    assert "Research use only" in (EMBEDDED / "MODEL_CARD.md").read_text()


def test_it_was_tested_on_the_fixed_patients_alone() -> None:
    split = json.loads((EMBEDDED / "model.json").read_text())["split"]
    fixed = set(TEST_PATIENTS.read_text().split())

    assert set(split["test"]["patients"]) == fixed
    assert not fixed & {*split["train"]["patients"], *split["validation"]["patients"]}


def test_it_knows_every_image_that_it_has_seen() -> None:
    model = load_model(EMBEDDED)

    seen = load_seen_images(EMBEDDED, model)

    assert seen is not None
    split = model.metadata["split"]
    assert len(seen.hashes) == split["train"]["cells"] + split["validation"]["cells"]
    assert set(seen.names) == {*split["train"]["patients"], *split["validation"]["patients"]}


def test_no_picture_of_a_real_cell_comes_with_it() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "malscan/models"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    pictures = {".png", ".jpg", ".webp"}
    found = [Path(name) for name in tracked.stdout.splitlines()]
    assert [path.name for path in found if path.suffix in pictures] == ["history.png"]


def test_it_tells_drawn_cells_apart(tmp_path: Path) -> None:
    draw_labelled(tmp_path, 8, 60, seed=99, size=80)
    cells = labelled_cells(DataSettings(tmp_path)).cells

    predicted = Predictor(load_model(EMBEDDED)).predict(cells, batch_size=64)

    right = [
        prediction.call(0.5) == prediction.image.label
        for batch in predicted
        for prediction in batch
    ]
    assert len(right) == 120
    assert np.mean(right) >= 0.97


@pytest.fixture(scope="module")
def predictions(real_test_cells: Path) -> list[Prediction]:
    """What it says of the real cells of the test patients."""
    cells = labelled_cells(DataSettings(real_test_cells)).cells
    batches = Predictor(load_model(EMBEDDED)).predict(cells, batch_size=256)
    return [prediction for batch in batches for prediction in batch]


@pytest.mark.real_data
def test_none_of_the_real_test_patients_is_warned_about(predictions: list[Prediction]) -> None:
    usual = load_model(EMBEDDED).usual
    assert usual is not None
    of_patient: dict[str, list[float]] = defaultdict(list)
    for prediction in predictions:
        assert prediction.unlike is not None
        of_patient[str(prediction.image.patient)].append(prediction.unlike)
    assert len(of_patient) == 30
    warned = [
        patient
        for patient, measures in of_patient.items()
        if np.mean(measures) >= usual.limit(len(measures))
    ]
    assert warned == []


@pytest.mark.real_data
def test_a_scan_of_the_real_test_patients_gives_the_figures_of_the_card(
    predictions: list[Prediction],
) -> None:
    model = load_model(EMBEDDED)
    judged = Judged(
        np.array([prediction.image.label == PARASITIZED for prediction in predictions]),
        np.array([prediction.probability for prediction in predictions], float),
        [str(prediction.image.patient) for prediction in predictions],
        model.threshold,
    )
    measured = figures(judged, draws=20)
    values = {name: figure.value for name, figure in measured.items() if figure.value is not None}
    assert values["accuracy"] >= 0.960
    assert values["roc_auc"] >= 0.990
    for name, figure in model.metadata["figures"].items():
        assert values[name] == pytest.approx(figure["value"], abs=1e-4), name
