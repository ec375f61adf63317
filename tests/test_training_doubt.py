"""The doubt band that a training recommends."""

import numpy as np
import pytest

from malscan.training.doubt import (
    LEAST_CELLS,
    MOST_INSIDE,
    RIGHT_OUTSIDE,
    recommend_band,
)

EVEN = np.ones(2, np.float32)


def cells(*groups: tuple[int, float, bool]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of groups of cells: how many, probability, parasitized."""
    probability = np.concatenate([np.full(count, value) for count, value, _ in groups])
    positive = np.concatenate([np.full(count, label) for count, _, label in groups])
    return probability, positive


CLEAR = ((480, 0.05, False), (480, 0.95, True))


def band_of(*groups: tuple[int, float, bool]) -> tuple[float, float] | None:
    band, _ = recommend_band(*cells(*groups), EVEN, 0.5)
    return band


def test_it_holds_the_doubtful_cells_and_no_others() -> None:
    # 30 of 1,000 are wrong: without a band 97 % are right.
    band, why = recommend_band(*cells(*CLEAR, (30, 0.625, False), (10, 0.625, True)), EVEN, 0.5)
    assert band == (0.5, 0.63)
    assert why == (
        "it holds 4.0 % of the validation cells, and 100.0 % of the others are called right"
    )


def test_it_is_no_wider_than_it_must_be() -> None:
    # Leaving out the 15 at 0.625 is enough: 15 of 985 wrong.
    assert band_of(*CLEAR, (15, 0.625, False), (15, 0.855, False), (10, 0.95, True)) == (0.5, 0.63)


def test_a_cell_on_the_upper_bound_is_not_inside() -> None:
    assert band_of(*CLEAR, (30, 0.6, False), (10, 0.95, True)) == (0.5, 0.61)
    assert band_of(*CLEAR, (30, 0.4, True), (10, 0.95, True)) == (0.4, 0.5)


def test_the_side_with_fewer_cells_to_look_at_is_chosen() -> None:
    both = ((12, 0.355, True), (12, 0.655, False))
    assert band_of(*CLEAR, *both, (16, 0.605, True)) == (0.35, 0.5)
    assert band_of(*CLEAR, *both, (16, 0.405, False)) == (0.5, 0.66)


def test_none_is_recommended_where_none_is_needed() -> None:
    band, why = recommend_band(*cells(*CLEAR, (20, 0.625, False), (20, 0.95, True)), EVEN, 0.5)
    assert band is None
    assert why == "98.0 % of the validation cells are called right without one"


def test_none_is_recommended_that_would_hold_too_many_cells() -> None:
    band, why = recommend_band(*cells(*CLEAR, (60, 0.625, False), (60, 0.625, True)), EVEN, 0.5)
    assert band is None
    assert why.startswith("no band with at most 10 % of the validation cells leaves 98 %")


def test_none_is_recommended_where_sure_cells_are_wrong() -> None:
    assert band_of(*CLEAR, (40, 0.995, False)) is None


def test_none_is_recommended_by_a_few_cells() -> None:
    few = ((90, 0.05, False), (90, 0.95, True), (LEAST_CELLS - 181, 0.625, False))
    band, why = recommend_band(*cells(*few), EVEN, 0.5)
    assert band is None
    assert why == "199 validation cells are too few, 200 are needed"
    assert band_of(*few, (1, 0.625, False)) == (0.5, 0.63)


def test_classes_weigh_as_in_training() -> None:
    # Of 900 and 100 cells 10 parasitized ones are missed: 99 % right, or 95 % class by class.
    groups = ((900, 0.05, False), (90, 0.95, True), (10, 0.405, True))
    assert band_of(*groups) is None
    band, why = recommend_band(*cells(*groups), np.array([5.0, 5 / 9], np.float32), 0.5)
    assert band == (0.4, 0.5)
    assert why.startswith("it holds 5.0 %")


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.77])
def test_it_keeps_its_promise_on_any_cells(threshold: float) -> None:
    rng = np.random.default_rng(4)
    logit = rng.normal(0, 12, 3000)
    positive = rng.random(3000) < 1 / (1 + np.exp(-logit))
    probability = 1 / (1 + np.exp(-logit - np.log(threshold / (1 - threshold))))

    band, _ = recommend_band(probability, positive, EVEN, threshold)

    assert band is not None
    low, high = band
    assert low <= threshold <= high
    inside = (probability >= low) & (probability < high)
    right = (probability >= threshold) == positive
    assert right.mean() < RIGHT_OUTSIDE <= right[~inside].mean()
    assert 0 < inside.mean() <= MOST_INSIDE
