"""Figures of many bootstrap draws at once: each against scikit-learn or a sum by hand."""

import tracemalloc
import warnings

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from malscan import bootstrap
from malscan.bootstrap import BINS, draw_weights, drawn_statistics, statistics

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

THRESHOLD = 0.5
SCIKIT_LEARN = (
    *("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "mcc"),
    *("roc_auc", "average_precision", "brier_score"),
)


def of_scikit_learn(
    weights: Floats, positive: Bools, probability: Floats, threshold: float
) -> dict[str, float]:
    """The figures of weighted cells of both classes, one call each."""
    called = probability >= threshold
    nan = float("nan")

    def share(score: str, positive_class: bool) -> float:
        return float(
            getattr(sk, score)(
                positive, called, pos_label=positive_class, sample_weight=weights, zero_division=nan
            )
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "accuracy": sk.accuracy_score(positive, called, sample_weight=weights),
            "balanced_accuracy": sk.balanced_accuracy_score(
                positive, called, sample_weight=weights
            ),
            "sensitivity": share("recall_score", True),
            "specificity": share("recall_score", False),
            "ppv": share("precision_score", True),
            "npv": share("precision_score", False),
            "f1": sk.f1_score(positive, called, sample_weight=weights),
            "mcc": sk.matthews_corrcoef(positive, called, sample_weight=weights),
            "roc_auc": sk.roc_auc_score(positive, probability, sample_weight=weights),
            "average_precision": sk.average_precision_score(
                positive, probability, sample_weight=weights
            ),
            "brier_score": sk.brier_score_loss(positive, probability, sample_weight=weights),
        }


def calibration_error_by_hand(weights: Floats, positive: Bools, probability: Floats) -> float:
    """Naeini's sum: over bins, share of the cells times |share of positives - mean probability|."""
    error = 0.0
    for number in range(BINS):
        inside = (probability >= number / BINS) & (probability < (number + 1) / BINS)
        if number == BINS - 1:
            inside |= probability == 1
        share = weights[inside].sum()
        if share:
            observed = (weights * positive)[inside].sum() / share
            said = (weights * probability)[inside].sum() / share
            error += share / weights.sum() * abs(observed - said)
    return float(error)


def cells(number: int = 200, seed: int = 1, decimals: int = 6) -> tuple[Bools, Floats]:
    rng = np.random.default_rng(seed)
    positive = rng.random(number) < 0.4
    logit = rng.normal(0, 1.5, number) + np.where(positive, 1.2, -1.2)
    return positive, np.round(1 / (1 + np.exp(-logit)), decimals)


def one(weights: list[float], positive: list[bool], probability: list[float]) -> dict[str, float]:
    """The figures of one row of weights at threshold 0.5."""
    found = statistics(
        np.array([weights], float), np.array(positive), np.array(probability), THRESHOLD
    )
    return {name: float(values[0]) for name, values in found.items()}


@pytest.mark.parametrize("decimals", [6, 1, 0], ids=["few ties", "many ties", "two values"])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 1.0])
def test_every_row_has_the_figures_of_scikit_learn(threshold: float, decimals: int) -> None:
    positive, probability = cells(decimals=decimals)
    weights = np.random.default_rng(2).integers(0, 4, [8, len(positive)]).astype(float)

    found = statistics(weights, positive, probability, threshold)

    for row, of_row in enumerate(weights):
        expected = of_scikit_learn(of_row, positive, probability, threshold)
        got = {name: float(found[name][row]) for name in SCIKIT_LEARN}
        assert got == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("constant", [0.0, 0.3, 0.5, 1.0])
def test_a_model_that_always_says_the_same_has_the_figures_of_scikit_learn(constant: float) -> None:
    positive, _ = cells(60)
    probability = np.full(60, constant)
    weights = np.random.default_rng(3).random([1, 60])

    found = statistics(weights, positive, probability, THRESHOLD)

    expected = of_scikit_learn(weights[0], positive, probability, THRESHOLD)
    got = {name: float(found[name][0]) for name in SCIKIT_LEARN}
    assert got == pytest.approx(expected, nan_ok=True)
    assert got["roc_auc"] == pytest.approx(0.5)
    assert got["mcc"] == 0


def test_of_one_class_f1_and_correlation_are_not_defined() -> None:
    got = one([1, 2, 0], [False, False, True], [0.2, 0.7, 0.9])
    assert np.isnan([got["f1"], got["mcc"], got["sensitivity"], got["roc_auc"]]).all()
    assert got["specificity"] == pytest.approx(1 / 3)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 3)), min_size=2, max_size=30
    ).filter(lambda drawn: {label for label, _, weight in drawn if weight} == {True, False}),
    st.sampled_from([0.0, 0.25, 0.5, 0.6, 1.0]),
)
def test_any_cells_and_weights_have_the_figures_of_scikit_learn(
    drawn: list[tuple[bool, int, int]], threshold: float
) -> None:
    positive = np.array([label for label, _, _ in drawn])
    probability = np.array([eighths for _, eighths, _ in drawn]) / 8
    weights = np.array([[weight for _, _, weight in drawn]], float)

    found = statistics(weights, positive, probability, threshold)

    expected = of_scikit_learn(weights[0], positive, probability, threshold)
    assert {name: float(found[name][0]) for name in SCIKIT_LEARN} == pytest.approx(
        expected, nan_ok=True
    )
    by_hand = calibration_error_by_hand(weights[0], positive, probability)
    assert found["expected_calibration_error"][0] == pytest.approx(by_hand)


def test_a_weight_is_as_good_as_so_many_copies() -> None:
    positive, probability = cells(40)
    weights = np.random.default_rng(4).integers(0, 4, 40)
    copies = np.repeat(np.arange(40), weights)

    weighted = statistics(weights[None].astype(float), positive, probability, THRESHOLD, 0.1)
    copied = statistics(
        np.ones([1, len(copies)]), positive[copies], probability[copies], THRESHOLD, 0.1
    )

    assert {name: float(v[0]) for name, v in weighted.items()} == pytest.approx(
        {name: float(v[0]) for name, v in copied.items()}
    )


class TestCalibrationError:
    def test_it_is_the_one_worked_out_by_hand(self) -> None:
        # At 0.1 a weight of 3, a third of it positive; at 0.9 a weight of 1, all of it:
        # (3 * |1/3 - 0.1| + 1 * |1 - 0.9|) / 4.
        found = one([1, 2, 1, 0], [True, False, True, False], [0.1, 0.1, 0.9, 0.9])
        assert found["expected_calibration_error"] == pytest.approx(0.2)

    @pytest.mark.parametrize("seed", range(3))
    def test_it_is_naeinis_sum_for_every_row(self, seed: int) -> None:
        positive, probability = cells(150, seed=seed, decimals=3)
        weights = np.random.default_rng(seed).integers(0, 3, [5, 150]).astype(float)
        found = statistics(weights, positive, probability, THRESHOLD)
        by_hand = [calibration_error_by_hand(row, positive, probability) for row in weights]
        assert found["expected_calibration_error"] == pytest.approx(np.array(by_hand))


class TestPredictiveValues:
    def test_they_are_those_of_bayes_rule_by_hand(self) -> None:
        # Sensitivity 3/4, specificity 4/5; of 1000 cells 20 are infected: 15 are found, 5 missed,
        # of 980 healthy ones 784 are cleared and 196 are false alarms.
        positive = np.array([True] * 4 + [False] * 5)
        probability = np.array([0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9])
        found = statistics(np.ones([1, 9]), positive, probability, THRESHOLD, 0.02)
        assert found["ppv_at_prevalence"][0] == pytest.approx(15 / (15 + 196))
        assert found["npv_at_prevalence"][0] == pytest.approx(784 / (784 + 5))

    def test_at_the_prevalence_of_the_cells_they_are_the_plain_ones(self) -> None:
        positive, probability = cells()
        share = float(positive.mean())
        found = statistics(np.ones([1, len(positive)]), positive, probability, THRESHOLD, share)
        assert found["ppv_at_prevalence"] == pytest.approx(found["ppv"])
        assert found["npv_at_prevalence"] == pytest.approx(found["npv"])

    def test_without_a_prevalence_there_are_none(self) -> None:
        assert not [name for name in one([1, 1], [True, False], [0.9, 0.1]) if "prevalence" in name]


class TestUndefined:
    def test_without_parasitized_cells_what_needs_them_is_no_number(self) -> None:
        found = one([1, 1, 0], [False, False, True], [0.9, 0.1, 0.9])
        unknown = ("sensitivity", "balanced_accuracy", "roc_auc", "average_precision")
        assert np.isnan([found[name] for name in unknown]).all()
        assert (found["accuracy"], found["specificity"], found["ppv"]) == (0.5, 0.5, 0.0)

    def test_without_uninfected_cells_what_needs_them_is_no_number(self) -> None:
        found = one([1, 1, 0], [True, True, False], [0.9, 0.1, 0.9])
        assert np.isnan(
            [
                found[name]
                for name in ("specificity", "balanced_accuracy", "roc_auc", "average_precision")
            ]
        ).all()
        assert (found["accuracy"], found["sensitivity"], found["npv"]) == (0.5, 0.5, 0.0)

    @pytest.mark.parametrize(("probability", "name"), [(0.1, "ppv"), (0.9, "npv")])
    def test_a_predictive_value_of_calls_that_nobody_made_is_no_number(
        self, probability: float, name: str
    ) -> None:
        assert np.isnan(one([1, 1], [True, False], [probability] * 2)[name])

    def test_nothing_is_said_on_stderr(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            one([1, 0], [True, False], [0.1, 0.9])
            one([0, 1], [True, False], [0.1, 0.9])


class TestDraws:
    UNITS = ("C2", "C1", "C2", "C3", "C1", "C2")

    def test_as_many_patients_are_drawn_as_there_are_with_all_their_cells(self) -> None:
        weights = draw_weights(self.UNITS, seed=1, draws=200)
        assert weights.shape == (200, 6)
        of = {name: weights[:, self.UNITS.index(name)] for name in ("C1", "C2", "C3")}
        assert set(np.sum([*of.values()], axis=0)) == {3}
        for place, name in enumerate(self.UNITS):
            assert (weights[:, place] == of[name]).all()
        assert {tuple(row) for row in np.stack([*of.values()], 1)} >= {(1, 1, 1), (0, 3, 0)}

    def test_every_patient_is_drawn_as_often(self) -> None:
        weights = draw_weights([f"C{i}" for i in range(20)], seed=0, draws=2000)
        assert weights.mean(axis=0) == pytest.approx(1, abs=0.1)

    def test_the_same_seed_draws_the_same_and_another_seed_does_not(self) -> None:
        first, again, other = (draw_weights(self.UNITS, seed, draws=50) for seed in (1, 1, 2))
        assert (first == again).all()
        assert (first != other).any()

    def test_the_same_seed_gives_two_models_the_same_patients(self) -> None:
        positive, probability = cells(60)
        units = [f"C{i // 5}" for i in range(60)]
        first, second = (
            drawn_statistics(units, positive, of_model, THRESHOLD, draws=30)
            for of_model in (probability, np.full(60, 0.9))
        )
        # A model that calls everything parasitized is right as often as cells are.
        share = draw_weights(units, 0, 30) @ positive / draw_weights(units, 0, 30).sum(axis=1)
        assert second["accuracy"] == pytest.approx(share)
        assert first["accuracy"] != pytest.approx(share)

    @pytest.mark.parametrize("at_once", [1, 130, 1000])
    def test_working_on_a_part_of_the_draws_at_a_time_changes_nothing(
        self, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        positive, probability = cells(60)
        units = [f"C{i // 5}" for i in range(60)]

        def drawn() -> dict[str, Floats]:
            return drawn_statistics(
                units, positive, probability, THRESHOLD, prevalence=0.1, draws=31
            )

        whole = drawn()
        monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", at_once)
        for name, values in drawn().items():
            np.testing.assert_allclose(values, whole[name], rtol=1e-12, err_msg=name)
            assert values.shape == (31,)

    def test_the_memory_is_that_of_a_part_and_not_of_all_draws(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All weights of 2,000 draws of 2,000 cells would take 32 MB, of the archive 440 MB."""
        positive, probability = cells(2000)
        units = [f"C{i // 100}" for i in range(2000)]
        monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", 80_000)
        tracemalloc.start()
        try:
            drawn_statistics(units, positive, probability, THRESHOLD, draws=2000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20e6
