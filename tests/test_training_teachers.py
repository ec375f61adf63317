"""Teachers: what a new model learns from them, and which ones it is kept from."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from draw_cells import draw_labelled

from malscan.errors import MalscanError
from malscan.model import EMBEDDED, load_model, load_seen_images
from malscan.networks import BASELINE_PREPROCESSING, COMPACT_PREPROCESSING
from malscan.predictor import classifier, rebuild
from malscan.seen import SeenImages
from malscan.training.cells import Cells, StoredPixels
from malscan.training.forerunner import all_seen, load_forerunner
from malscan.training.parts import Parts
from malscan.training.teachers import check_apart, load_teachers, opinion


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 small drawn cells of 8 patients in two class folders; do not change them."""
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    draw_labelled(folder, 8, 24, seed=6, size=24)
    return folder


def test_their_opinion_is_the_mean_of_what_they_would_say_in_a_scan() -> None:
    one, other = load_teachers([EMBEDDED, EMBEDDED], COMPACT_PREPROCESSING)
    other = replace(other, model=replace(other.model, temperature=3.0))
    pixels = np.random.default_rng(1).integers(0, 255, (4, 64, 64, 3)).astype(np.uint8)

    said = opinion([one, other], pixels.astype(np.float32) / 255).numpy()

    scans = [
        classifier(rebuild(one.model), COMPACT_PREPROCESSING, temperature)(pixels).numpy()
        for temperature in (one.model.temperature, 3.0)
    ]
    np.testing.assert_allclose(said[:, 0], np.mean(scans, axis=0), atol=1e-6)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-6)
    assert np.abs(scans[0] - scans[1]).max() > 1e-3


def test_a_teacher_of_other_input_is_refused() -> None:
    with pytest.raises(MalscanError, match="takes cells of 64 pixels resized by area"):
        load_teachers([EMBEDDED], BASELINE_PREPROCESSING)


@pytest.mark.slow
def test_a_model_is_taught_and_says_by_whom(cells: Path, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "pupil"
    result = cli(
        *("train", cells, "--out", out, "--teacher", "embedded", "--teacher-share", 1),
        *("--epochs", 1, "--augment", "none", "--test-share", 0.25, "--validation-share", 0.25),
    )

    assert result.code == 0, result.err
    told = json.loads((out / "model.json").read_text())
    embedded = load_model(EMBEDDED)
    assert told["teachers"] == [{"name": embedded.name, "sha256": embedded.sha256}]
    assert told["recipe"]["teacher_share"] == 1
    seen = load_seen_images(out, load_model(out))
    assert seen is not None
    assert {name.partition("/")[0] for name in seen.names} >= {"C1", embedded.name}


def parts(**hashes: list[int]) -> Parts:
    """Parts of cells of which only the hashes matter."""
    made = {
        name: Cells(
            StoredPixels(np.zeros((0, 1, 1, 3), np.uint8)),
            np.zeros(0, np.int64),
            np.array(hashes.get(name, []), np.uint64),
            [],
            [],
        )
        for name in ("train", "validation", "test")
    }
    return Parts(**made, failed=[], contradictory=0, copies=0)


@pytest.mark.parametrize(
    ("hashes", "part"),
    [
        ({"test": [9, 1]}, "test"),
        ({"test": [9, 2]}, "test"),
        ({"validation": [1, 9]}, "validation"),
        ({"validation": [2, 9], "train": [1]}, None),
    ],
)
def test_a_teacher_may_not_know_the_cells_that_its_pupil_is_judged_by(
    hashes: dict[str, list[int]], part: str | None
) -> None:
    (teacher,) = load_teachers([EMBEDDED], COMPACT_PREPROCESSING)
    seen = SeenImages.of([(1, "train", "C1"), (2, "validation", "C2")])
    teacher = replace(teacher, seen=seen)

    if part is None:
        check_apart([teacher], parts(**hashes))
        return
    with pytest.raises(MalscanError, match=f"has seen 1 cells of the {part} part"):
        check_apart([teacher], parts(**hashes))


def test_a_teacher_that_does_not_say_what_it_has_seen_is_refused() -> None:
    (teacher,) = load_teachers([EMBEDDED], COMPACT_PREPROCESSING)
    with pytest.raises(MalscanError, match="does not say which cells it was trained on"):
        check_apart([replace(teacher, seen=None)], parts())


def test_a_teacher_that_is_nowhere_is_wrong_usage(cells: Path, cli: Cli, tmp_path: Path) -> None:
    result = cli("train", cells, "--out", tmp_path / "m", "--teacher", tmp_path / "nowhere")
    assert result.code == 2
    assert "nowhere" in result.err


def test_what_a_model_has_seen_is_unknown_where_that_of_one_before_it_is() -> None:
    known = load_forerunner(EMBEDDED)
    seen = SeenImages.of([(1, "train", "C1")])

    both = all_seen(seen, [replace(known, seen=SeenImages.of([(2, "train", "C2")]))])

    assert both is not None
    assert [digest for digest, _, _ in both.rows()] == [1, 2]
    assert all_seen(seen, [known, replace(known, seen=None)]) is None
