"""Error rates on a grid of thresholds: against the figures at each, and their draws."""

import numpy as np
import numpy.typing as npt
import pytest

from malscan.error_rates import RATE_GRID, error_rates
from malscan.metrics import Judged, figures
from malscan.parasitaemia import why_not_corrected

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def cells(patients: int = 12, decimals: int = 6) -> tuple[Bools, Floats, list[str]]:
    """Ten cells of each patient, of both classes, most of them ranked rightly."""
    rng = np.random.default_rng(1)
    positive = rng.random(patients * 10) < 0.5
    logit = rng.normal(0, 1.5, len(positive)) + np.where(positive, 1.5, -1.5)
    probability = np.round(1 / (1 + np.exp(-logit)), decimals)
    return positive, probability, [f"C{i // 10}" for i in range(len(positive))]


def test_there_is_one_rate_for_each_threshold_and_draw() -> None:
    rates = error_rates(*cells(), draws=40)
    assert rates.thresholds == pytest.approx(np.arange(1, 20) / 20)
    assert rates.sensitivity.shape == rates.false_positive_rate.shape == (19,)
    assert rates.drawn_sensitivity.shape == rates.drawn_false_positive_rate.shape == (40, 19)
    assert {array.dtype for array in (rates.thresholds, rates.drawn_sensitivity)} == {
        np.dtype(np.float32)
    }


def test_they_never_rise_with_the_threshold() -> None:
    rates = error_rates(*cells(), draws=40)
    for table in (
        *(rates.sensitivity[None], rates.false_positive_rate[None]),
        *(rates.drawn_sensitivity, rates.drawn_false_positive_rate),
    ):
        assert (np.diff(table, axis=1) <= 0).all()
        assert table[0, 0] > table[0, -1]


@pytest.mark.parametrize("decimals", [6, 2], ids=["off the grid", "on the grid"])
def test_they_are_the_figures_at_each_threshold(decimals: int) -> None:
    positive, probability, patients = cells(patients=40, decimals=decimals)
    rates = error_rates(positive, probability, patients, draws=2)
    for place in range(len(RATE_GRID)):
        threshold = round(0.05 * (place + 1), 2)
        found = figures(Judged(positive, probability, patients, threshold), draws=2)
        assert rates.sensitivity[place] == pytest.approx(found["sensitivity"].value)
        specificity = found["specificity"].value
        assert 1 - rates.false_positive_rate[place] == pytest.approx(specificity)


def test_the_threshold_of_a_model_is_known_though_it_is_off_the_grid() -> None:
    positive, probability, patients = cells(decimals=2)
    rates = error_rates(positive, probability, patients, at=0.37, draws=5)
    assert rates.thresholds == pytest.approx(sorted([*np.arange(1, 20) / 20, 0.37]))
    place = int(np.flatnonzero(np.isclose(rates.thresholds, 0.37))[0])
    found = figures(Judged(positive, probability, patients, 0.37), draws=2)
    assert rates.sensitivity[place] == pytest.approx(found["sensitivity"].value)
    assert why_not_corrected(rates, 0.37) is None


def test_a_threshold_on_the_grid_is_not_known_twice() -> None:
    assert len(error_rates(*cells(), at=0.3, draws=5).thresholds) == len(RATE_GRID)


def test_draws_spread_about_the_rate_and_differ() -> None:
    rates = error_rates(*cells(patients=30), draws=300)
    middle = 9
    drawn = rates.drawn_sensitivity[:, middle]
    assert drawn.mean() == pytest.approx(rates.sensitivity[middle], abs=0.02)
    assert drawn.std() > 0.005


def test_one_seed_gives_one_result() -> None:
    first, again, other = (error_rates(*cells(), seed=seed, draws=20) for seed in (1, 1, 2))
    assert (first.drawn_sensitivity == again.drawn_sensitivity).all()
    assert (first.drawn_sensitivity != other.drawn_sensitivity).any()


def test_draws_without_both_classes_are_left_out() -> None:
    positive = np.array([True, True, False, False])
    rates = error_rates(positive, np.array([0.9, 0.2, 0.1, 0.8]), list("aabb"), draws=100)
    assert 0 < len(rates.drawn_sensitivity) < 100
    assert not np.isnan(rates.drawn_sensitivity).any()
    assert not np.isnan(rates.drawn_false_positive_rate).any()


@pytest.mark.parametrize("label", [True, False])
def test_rates_that_need_the_other_class_are_no_numbers_and_correct_nothing(label: bool) -> None:
    positive, probability = np.full(4, label), np.array([0.2, 0.7, 0.8, 0.1])
    rates = error_rates(positive, probability, list("aabb"), draws=20)
    known, unknown = rates.sensitivity, rates.false_positive_rate
    if not label:
        known, unknown = unknown, known
    assert known[9] == 0.5
    assert np.isnan(unknown).all()
    assert why_not_corrected(rates, 0.5) is not None
