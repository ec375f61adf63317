"""Figures of predictions: against hand-made examples and scikit-learn, and their intervals."""

import warnings
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from malscan.metrics import RATE_GRID, error_rates, figures
from malscan.parasitaemia import why_not_corrected

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def cells(
    patients: int = 12, cells_each: int = 10, seed: int = 1, decimals: int = 6
) -> tuple[Bools, Floats, list[str]]:
    """Cells of both classes, most of them ranked rightly."""
    rng = np.random.default_rng(seed)
    positive = rng.random(patients * cells_each) < 0.5
    logit = rng.normal(0, 1.5, len(positive)) + np.where(positive, 1.5, -1.5)
    probability = np.round(1 / (1 + np.exp(-logit)), decimals)
    return positive, probability, [f"C{i // cells_each}" for i in range(len(positive))]


def value_of(name: str, positive: list[bool], probability: list[float]) -> float:
    """One figure of some cells of one patient at threshold 0.5."""
    patients = ["C1"] * len(positive)
    found = figures(np.array(positive), np.array(probability), patients, 0.5, draws=2)
    return found[name].value


class TestValues:
    @pytest.mark.parametrize(
        ("name", "by_hand"),
        [("accuracy", 5 / 8), ("sensitivity", 2 / 3), ("specificity", 3 / 5)],
    )
    def test_shares_of_right_calls_are_those_counted_by_hand(
        self, name: str, by_hand: float
    ) -> None:
        positive = [True, True, True, False, False, False, False, False]
        probability = [0.9, 0.5, 0.4, 0.1, 0.2, 0.3, 0.7, 0.5]
        assert value_of(name, positive, probability) == pytest.approx(by_hand)

    @pytest.mark.parametrize("threshold", [0.2, 0.5, 0.77])
    def test_shares_of_right_calls_are_those_of_scikit_learn(self, threshold: float) -> None:
        positive, probability, patients = cells()
        called = probability >= threshold
        found = figures(positive, probability, patients, threshold, draws=2)
        assert found["accuracy"].value == pytest.approx(accuracy_score(positive, called))
        assert found["sensitivity"].value == pytest.approx(recall_score(positive, called))
        assert found["specificity"].value == pytest.approx(
            recall_score(positive, called, pos_label=False)
        )

    @pytest.mark.parametrize("decimals", [6, 1, 0], ids=["few ties", "many ties", "two values"])
    def test_the_auc_is_that_of_scikit_learn(self, decimals: int) -> None:
        positive, probability, patients = cells(decimals=decimals)
        found = figures(positive, probability, patients, 0.5, draws=2)
        assert found["roc_auc"].value == pytest.approx(roc_auc_score(positive, probability))

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=30).filter(
            lambda drawn: len({label for label, _ in drawn}) == 2
        )
    )
    def test_the_auc_is_that_of_scikit_learn_for_any_cells(
        self, drawn: list[tuple[bool, int]]
    ) -> None:
        positive = [label for label, _ in drawn]
        probability = [eighths / 8 for _, eighths in drawn]
        expected = roc_auc_score(positive, probability)
        assert value_of("roc_auc", positive, probability) == pytest.approx(expected)

    def test_the_auc_of_a_draw_weighs_cells_as_scikit_learn_does(self) -> None:
        positive, probability, patients = cells(patients=3, cells_each=8, decimals=1)
        names = sorted(set(patients))
        possible = []
        for drawn in combinations_with_replacement(names, len(names)):
            weights = [drawn.count(patient) for patient in patients]
            if len({label for label, n in zip(positive, weights, strict=True) if n}) == 2:
                possible.append(roc_auc_score(positive, probability, sample_weight=weights))
        seen = set()
        for seed in range(20):
            found = figures(positive, probability, patients, 0.5, seed=seed, draws=1)["roc_auc"]
            assert found.low == found.high
            assert np.isclose(found.low, possible).any()
            seen.add(round(found.low, 6))
        assert len(seen) > 3

    def test_the_calibration_error_is_that_worked_out_by_hand(self) -> None:
        # Two cells at 0.1 of which half are positive, two at 0.9 of which all are:
        # (2 * |0.5 - 0.1| + 2 * |1 - 0.9|) / 4.
        error = value_of(
            "expected_calibration_error", [True, False, True, True], [0.1, 0.1, 0.9, 0.9]
        )
        assert error == pytest.approx(0.25)

    def test_errors_of_far_away_probabilities_do_not_cancel_out(self) -> None:
        error = value_of("expected_calibration_error", [True, False], [0.02, 0.98])
        assert error == pytest.approx(0.98)

    @pytest.mark.parametrize(
        ("probability", "by_hand"),
        [
            pytest.param([0.47, 0.53], 0.0, id="the two ends of the eighth bin"),
            pytest.param([0.47, 0.54], (0.53 + 0.54) / 2, id="the eighth bin and the ninth"),
            pytest.param([0.94, 1.0], (1.0 - 0.06) / 2, id="1 belongs to the last bin"),
        ],
    )
    def test_errors_cancel_out_within_fifteen_bins_of_equal_width(
        self, probability: list[float], by_hand: float
    ) -> None:
        error = value_of("expected_calibration_error", [True, False], probability)
        assert error == pytest.approx(by_hand)

    def test_certain_and_right_cells_have_no_calibration_error(self) -> None:
        assert value_of("expected_calibration_error", [True, False], [1.0, 0.0]) == 0.0


class TestIntervals:
    def test_they_hold_the_value(self) -> None:
        for figure in figures(*cells(), 0.5, draws=300).values():
            assert figure.low < figure.value < figure.high or figure.value < 0.1

    def test_they_are_wider_by_patient_than_by_cell_where_cells_of_a_patient_are_alike(
        self,
    ) -> None:
        rng = np.random.default_rng(4)
        wrong = np.repeat(rng.random(30) < 0.2, 20)
        positive = np.tile([True, False], 300)
        probability = np.where(positive ^ wrong, 0.9, 0.1)
        by_patient = figures(
            positive, probability, [f"C{i // 20}" for i in range(600)], 0.5, draws=300
        )
        by_cell = figures(positive, probability, [f"C{i}" for i in range(600)], 0.5, draws=300)
        for name in ("accuracy", "sensitivity", "specificity", "roc_auc"):
            width = by_patient[name].high - by_patient[name].low
            assert width > 2 * (by_cell[name].high - by_cell[name].low)
            assert by_patient[name].value == by_cell[name].value

    def test_one_seed_gives_one_result_and_another_seed_another_interval(self) -> None:
        first, again = (figures(*cells(), 0.5, seed=1, draws=50) for _ in range(2))
        other = figures(*cells(), 0.5, seed=2, draws=50)
        assert first == again
        assert first["accuracy"].value == other["accuracy"].value
        assert first["accuracy"] != other["accuracy"]

    def test_the_order_of_the_cells_does_not_matter(self) -> None:
        positive, probability, patients = cells()
        order = np.random.default_rng(0).permutation(len(positive))
        shuffled = figures(
            positive[order], probability[order], [patients[i] for i in order], 0.5, draws=50
        )
        for name, figure in figures(positive, probability, patients, 0.5, draws=50).items():
            mixed = shuffled[name]
            assert (figure.value, figure.low, figure.high) == pytest.approx(
                (mixed.value, mixed.low, mixed.high)
            )


class TestErrorRates:
    def test_there_is_one_rate_for_each_threshold_and_draw(self) -> None:
        rates = error_rates(*cells(), draws=40)
        assert rates.thresholds == pytest.approx(np.arange(1, 20) / 20)
        assert rates.sensitivity.shape == rates.false_positive_rate.shape == (19,)
        assert rates.drawn_sensitivity.shape == rates.drawn_false_positive_rate.shape == (40, 19)
        assert {array.dtype for array in (rates.thresholds, rates.drawn_sensitivity)} == {
            np.dtype(np.float32)
        }

    def test_they_never_rise_with_the_threshold(self) -> None:
        rates = error_rates(*cells(), draws=40)
        for table in (
            *(rates.sensitivity[None], rates.false_positive_rate[None]),
            *(rates.drawn_sensitivity, rates.drawn_false_positive_rate),
        ):
            assert (np.diff(table, axis=1) <= 0).all()
            assert table[0, 0] > table[0, -1]

    @pytest.mark.parametrize("decimals", [6, 2], ids=["off the grid", "on the grid"])
    def test_they_are_the_figures_at_each_threshold(self, decimals: int) -> None:
        positive, probability, patients = cells(patients=40, decimals=decimals)
        rates = error_rates(positive, probability, patients, draws=2)
        for place in range(len(RATE_GRID)):
            threshold = round(0.05 * (place + 1), 2)
            found = figures(positive, probability, patients, threshold, draws=2)
            assert rates.sensitivity[place] == pytest.approx(found["sensitivity"].value)
            assert 1 - rates.false_positive_rate[place] == pytest.approx(found["specificity"].value)

    def test_draws_spread_about_the_rate_and_differ(self) -> None:
        rates = error_rates(*cells(patients=30), draws=300)
        middle = 9
        drawn = rates.drawn_sensitivity[:, middle]
        assert drawn.mean() == pytest.approx(rates.sensitivity[middle], abs=0.02)
        assert drawn.std() > 0.005

    def test_one_seed_gives_one_result(self) -> None:
        first, again, other = (error_rates(*cells(), seed=seed, draws=20) for seed in (1, 1, 2))
        assert (first.drawn_sensitivity == again.drawn_sensitivity).all()
        assert (first.drawn_sensitivity != other.drawn_sensitivity).any()

    def test_draws_without_both_classes_are_left_out(self) -> None:
        positive = np.array([True, True, False, False])
        rates = error_rates(positive, np.array([0.9, 0.2, 0.1, 0.8]), list("aabb"), draws=100)
        assert 0 < len(rates.drawn_sensitivity) < 100
        assert not np.isnan(rates.drawn_sensitivity).any()
        assert not np.isnan(rates.drawn_false_positive_rate).any()


@pytest.mark.parametrize("label", [True, False])
class TestOneClassOnly:
    def test_figures_that_need_the_other_class_are_no_numbers(self, label: bool) -> None:
        known, unknown = ("sensitivity", "specificity") if label else ("specificity", "sensitivity")
        positive, probability = np.full(4, label), np.array([0.2, 0.7, 0.8, 0.1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = figures(positive, probability, list("aabb"), 0.5, draws=20)
        assert found[known].value == found["accuracy"].value == 0.5
        for name in (unknown, "roc_auc"):
            assert np.isnan([found[name].value, found[name].low, found[name].high]).all()

    def test_error_rates_that_need_the_other_class_are_no_numbers_and_correct_nothing(
        self, label: bool
    ) -> None:
        positive, probability = np.full(4, label), np.array([0.2, 0.7, 0.8, 0.1])
        rates = error_rates(positive, probability, list("aabb"), draws=20)
        known, unknown = rates.sensitivity, rates.false_positive_rate
        if not label:
            known, unknown = unknown, known
        assert known[9] == 0.5
        assert np.isnan(unknown).all()
        assert why_not_corrected(rates, 0.5) is not None
