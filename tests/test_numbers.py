"""The same cells get the same numbers, however many threads, batches, and in whatever order."""

import os
import random
import shutil
import subprocess
from functools import partial
from pathlib import Path

import golden
import numpy as np
import pandas as pd
import pytest
from conftest import Cli, command
from draw_cells import draw_slides
from numpy.typing import NDArray

from malscan.model import EMBEDDED, load_model
from malscan.predictor import Predictor
from malscan.walk import CellImage, Walk

WITHIN = 1e-5
ON_OTHER_PROCESSORS = 1e-4


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty drawn cells."""
    folder = tmp_path_factory.mktemp("numbers") / "slides"
    draw_slides(folder, {"s1": (10, 20), "s2": (20, 10)}, seed=17, size=60)
    return folder


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(load_model(EMBEDDED))


def probabilities(
    predictor: Predictor, images: list[CellImage], batch_size: int
) -> NDArray[np.float64]:
    found = [one for lot in predictor.predict(images, batch_size=batch_size) for one in lot]
    assert [one.image for one in found] == images
    return np.array([one.probability for one in found], float)


@pytest.mark.parametrize(
    "batch_size", [64, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 7, 512))]
)
def test_threads_and_batches_move_no_probability_and_no_call(
    batch_size: int, predictor: Predictor, cells: Path
) -> None:
    images = list(Walk([str(cells)]))
    first = probabilities(predictor, images, 64)
    for threads in (1, 2, 8):
        found = probabilities(Predictor(predictor.model, cores=threads), images, batch_size)
        np.testing.assert_allclose(found, first, atol=WITHIN, rtol=0)
        threshold = predictor.model.threshold
        np.testing.assert_array_equal(found >= threshold, first >= threshold)
        if batch_size == 64:
            np.testing.assert_array_equal(found, first)


@pytest.mark.slow
def test_the_order_in_which_files_were_made_moves_nothing(
    cli: Cli, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(cells.rglob("*.png"))
    reports = []
    for number in range(3):
        work = tmp_path / str(number)
        random.Random(number).shuffle(files)
        for file in files:
            target = work / "slides" / file.relative_to(cells)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        monkeypatch.chdir(work)
        assert cli("scan", "slides", "--out", "r.csv", "--quiet").code == 0
        reports.append((work / "r.csv").read_bytes())
    assert len(set(reports)) == 1


@pytest.mark.slow
def test_a_scan_on_one_core_gives_the_numbers_of_one_on_all(cells: Path, tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    tables = []
    for count in {1, len(cores)}:
        report = tmp_path / f"{count}.csv"
        subprocess.run(
            command("scan", cells, "--out", report, "--quiet"),
            preexec_fn=partial(os.sched_setaffinity, 0, cores[:count]),
            check=True,
        )
        tables.append(pd.read_csv(report))
    for table in tables[1:]:
        np.testing.assert_allclose(table.probability, tables[0].probability, atol=WITHIN, rtol=0)
        assert table.call.tolist() == tables[0].call.tolist()


def test_the_embedded_model_gives_what_it_gave(tmp_path: Path) -> None:
    expected, found = golden.kept(), golden.measured(tmp_path)
    again = "PYTHONPATH=examples python tests/golden.py"
    assert found.model == expected.model, f"the embedded model is another one now: run {again}"
    assert found.probabilities.keys() == expected.probabilities.keys()
    moved = {
        place: (probability, found.probabilities[place])
        for place, probability in expected.probabilities.items()
        if abs(probability - found.probabilities[place]) > ON_OTHER_PROCESSORS
    }
    assert moved == {}
    assert np.ptp(list(expected.probabilities.values())) > 0.5
