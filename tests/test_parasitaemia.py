"""Apparent and corrected parasitaemia: known values, intervals, and why there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from malscan.model import ErrorRates
from malscan.parasitaemia import Estimate, apparent, corrected, why_not_corrected

THRESHOLD = 0.5


def rates(
    sensitivity: float = 0.95,
    false_positive_rate: float = 0.05,
    *,
    spreads: tuple[float, float] = (0.0, 0.0),
) -> ErrorRates:
    """Error rates at thresholds 0.25 and 0.5 (at 0.25 they are of no use), with their doubt."""
    draws = np.random.default_rng(5)

    def column(value: float, spread: float) -> np.ndarray:
        drawn = np.clip(draws.normal(value, spread, [400, 1]), 0, 1)
        return np.hstack([np.full([400, 1], 0.5), drawn]).astype(np.float32)

    return ErrorRates(
        thresholds=np.array([0.25, THRESHOLD], np.float32),
        sensitivity=np.array([0.5, sensitivity], np.float32),
        false_positive_rate=np.array([0.5, false_positive_rate], np.float32),
        drawn_sensitivity=column(sensitivity, spreads[0]),
        drawn_false_positive_rate=column(false_positive_rate, spreads[1]),
    )


def correct(above: int, classified: int, known: ErrorRates) -> Estimate:
    estimate = corrected(above, classified, known, THRESHOLD)
    assert estimate is not None
    return estimate


@pytest.mark.parametrize(
    ("above", "classified", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        # The examples of Newcombe 1998, Stat. Med. 17, 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_apparent_parasitaemia_has_the_published_wilson_interval(
    above: int, classified: int, low: float, high: float
) -> None:
    estimate = apparent(above, classified)
    assert estimate is not None
    assert estimate.value == above / classified
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)


def test_no_classified_cell_means_no_estimate() -> None:
    assert apparent(0, 0) is None
    assert corrected(0, 0, rates(), THRESHOLD) is None


@pytest.mark.parametrize(
    ("above", "sensitivity", "false_positive_rate", "by_hand"),
    [
        (20, 0.95, 0.05, 0.15 / 0.90),
        (50, 0.80, 0.20, 0.30 / 0.60),
        (7, 0.96, 0.04, 0.03 / 0.92),
        (30, 1.00, 0.00, 0.30),
        (3, 0.95, 0.05, 0.0),
        (98, 0.95, 0.05, 1.0),
    ],
)
def test_the_corrected_parasitaemia_follows_rogan_and_gladen_within_0_and_1(
    above: int, sensitivity: float, false_positive_rate: float, by_hand: float
) -> None:
    estimate = correct(above, 100, rates(sensitivity, false_positive_rate))
    assert estimate.value == pytest.approx(by_hand, abs=1e-6)


def test_the_same_counts_always_give_the_same_interval() -> None:
    first, again = (correct(7, 50, rates(spreads=(0.02, 0.02))) for _ in range(2))
    assert first == again


def test_with_certain_error_rates_the_doubt_is_that_of_the_count() -> None:
    estimate = correct(4, 10, rates(0.9, 0.1))
    jeffreys = stats.beta.ppf([0.025, 0.975], 4.5, 6.5)
    expected = (jeffreys - 0.1) / 0.8
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected), abs=0.02)


def test_more_cells_make_the_interval_narrower() -> None:
    few, many = correct(20, 100, rates()), correct(2000, 10000, rates())
    assert many.high - many.low < (few.high - few.low) / 2


@pytest.mark.parametrize("spreads", [(0.03, 0.0), (0.0, 0.03)], ids=["sensitivity", "specificity"])
def test_doubt_about_the_model_makes_the_interval_wider(spreads: tuple[float, float]) -> None:
    sure, unsure = correct(5000, 10000, rates()), correct(5000, 10000, rates(spreads=spreads))
    assert unsure.high - unsure.low > 1.5 * (sure.high - sure.low)


@given(
    classified=st.integers(1, 5000),
    share=st.floats(0, 1),
    sensitivity=st.floats(0.9, 0.99),
    false_positive_rate=st.floats(0.01, 0.1),
)
def test_the_interval_holds_the_estimate_and_stays_within_0_and_1(
    classified: int, share: float, sensitivity: float, false_positive_rate: float
) -> None:
    known = rates(sensitivity, false_positive_rate, spreads=(0.01, 0.01))
    estimate = correct(round(share * classified), classified, known)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.parametrize("above", [0, 10])
def test_the_interval_holds_the_estimate_of_a_model_that_never_erred(above: int) -> None:
    estimate = correct(above, 10, rates(1.0, 0.0))
    assert estimate.low <= estimate.value <= estimate.high


class TestWhyNotCorrected:
    def test_there_is_no_reason_where_the_rates_are_good(self) -> None:
        assert why_not_corrected(rates(), THRESHOLD) is None

    def test_a_model_that_was_never_tested_is_a_reason(self) -> None:
        assert "not tested on two patients" in str(why_not_corrected(None, THRESHOLD))

    @pytest.mark.parametrize("threshold", [0.51, 0.4999, 0.0, 1.0])
    def test_a_threshold_off_the_grid_is_a_reason_and_gives_no_estimate(
        self, threshold: float
    ) -> None:
        assert f"not known at threshold {threshold:g}" in str(why_not_corrected(rates(), threshold))
        assert corrected(5, 10, rates(), threshold) is None

    @pytest.mark.parametrize("threshold", [0.25, 0.5])
    def test_a_model_that_hardly_discriminates_is_a_reason_at_that_threshold(
        self, threshold: float
    ) -> None:
        reason = why_not_corrected(rates(0.55, 0.47), threshold)
        assert "hardly tells the classes apart" in str(reason)

    def test_just_enough_discrimination_is_no_reason(self) -> None:
        assert why_not_corrected(rates(0.6, 0.49), THRESHOLD) is None

    def test_rates_that_are_no_numbers_are_a_reason(self) -> None:
        assert why_not_corrected(rates(0.9, float("nan")), THRESHOLD) is not None
