"""Temperature and threshold, from probabilities of held-out cells."""

import numpy as np
import pytest

from malscan.errors import MalscanError
from malscan.training.calibrate import choose_threshold, fit_temperature
from malscan.training.settings import ThresholdGoal

EVEN = np.ones(2, np.float32)


def drawn(temperature: float, cells: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure by a temperature, and labels that follow the true ones."""
    rng = np.random.default_rng(3)
    logit = rng.normal(0, 2, cells)
    positive = rng.random(cells) < 1 / (1 + np.exp(-logit))
    return 1 / (1 + np.exp(-logit * temperature)), positive


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    raw, positive = drawn(temperature)
    assert fit_temperature(raw, positive, EVEN) == pytest.approx(temperature, rel=0.04)


def test_a_class_weight_of_3_counts_each_of_its_cells_three_times() -> None:
    raw = np.array([0.9, 0.8, 0.3, 0.2, 0.1, 0.4])
    positive = np.array([True, True, True, False, False, False])
    order = [0, 1, 2, 3, 4, 5, 0, 1, 2, 0, 1, 2]
    weighted = fit_temperature(raw, positive, np.array([3, 1], np.float32))
    assert weighted == pytest.approx(fit_temperature(raw[order], positive[order], EVEN), rel=1e-3)
    assert weighted != pytest.approx(fit_temperature(raw, positive, EVEN), rel=1e-2)


def test_each_patient_counts_alike_however_many_cells_it_has() -> None:
    raw, positive = drawn(0.6, 2_000)
    wrong, labels = drawn(2.5, 20_000)
    both, truth = np.concatenate([raw, wrong]), np.concatenate([positive, labels])
    few, many = ["a"] * 1_000 + ["b"] * 1_000, ["c"] * 20_000
    by_patient = fit_temperature(both, truth, EVEN, few + many)
    again = np.concatenate([np.tile(np.arange(2_000), 20), np.arange(2_000, 22_000)])
    assert by_patient == pytest.approx(fit_temperature(both[again], truth[again], EVEN), rel=1e-3)
    assert by_patient < fit_temperature(both, truth, EVEN) - 0.5


def test_certain_probabilities_give_a_finite_temperature() -> None:
    raw, positive = np.array([1.0, 0.0, 1.0, 0.0]), np.array([True, False, True, False])
    assert 0.04 < fit_temperature(raw, positive, EVEN) < 21


class TestThreshold:
    PROBABILITY = np.array([0.15, 0.35, 0.55, 0.75, 0.05, 0.25, 0.45, 0.65])
    POSITIVE = np.array([True] * 4 + [False] * 4)

    def chosen(self, goal: str) -> float:
        threshold, how = choose_threshold(
            self.PROBABILITY, self.POSITIVE, ThresholdGoal.parse(goal)
        )
        assert how == f"for {goal} on the validation part"
        return threshold

    def test_without_a_goal_it_is_a_half(self) -> None:
        threshold, how = choose_threshold(self.PROBABILITY, self.POSITIVE, None)
        assert (threshold, how) == (0.5, "fixed, not chosen on data")

    @pytest.mark.parametrize(
        ("goal", "threshold"),
        [
            ("sensitivity=1", 0.15),
            ("sensitivity=0.75", 0.35),
            ("sensitivity=0.7", 0.35),
            ("specificity=1", 0.66),
            ("specificity=0.75", 0.46),
            ("specificity=0", 0.01),
            ("sensitivity=0", 0.99),
        ],
    )
    def test_it_reaches_the_goal_at_the_least_cost(self, goal: str, threshold: float) -> None:
        assert self.chosen(goal) == threshold

    def test_a_goal_out_of_reach_is_told(self) -> None:
        goal = ThresholdGoal.parse("sensitivity=1")
        with pytest.raises(MalscanError, match="no threshold reaches sensitivity=1 on the valid"):
            choose_threshold(np.array([0.001, 0.5]), np.array([True, False]), goal)


def test_a_few_cells_told_apart_without_error_do_not_make_the_model_certain() -> None:
    positive = np.array([True, False] * 10)
    raw = np.where(positive, 0.8, 0.2)

    assert fit_temperature(raw, positive, EVEN) == pytest.approx(0.5, abs=1e-3)
