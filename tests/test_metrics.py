"""Figures of predictions: against hand-made examples and scikit-learn, and their intervals."""

import warnings
from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from malscan.metrics import (
    Figure,
    Judged,
    PatientResult,
    doubt_is_known,
    draw_figures,
    figures,
    interval,
    label,
    patient_figures,
    per_patient,
    predictive_values,
)

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NAMES = [
    *("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv"),
    *("f1", "mcc", "roc_auc", "average_precision"),
    *("brier_score", "expected_calibration_error"),
]
UNKNOWN = Figure(None, None, None)


def cells(
    patients: int = 12,
    cells_each: int = 10,
    *,
    seed: int = 1,
    decimals: int = 6,
    threshold: float = 0.5,
) -> Judged:
    """Cells of both classes, most of them ranked rightly."""
    rng = np.random.default_rng(seed)
    positive = rng.random(patients * cells_each) < 0.5
    logit = rng.normal(0, 1.5, len(positive)) + np.where(positive, 1.5, -1.5)
    probability = np.round(1 / (1 + np.exp(-logit)), decimals)
    units = [f"C{i // cells_each}" for i in range(len(positive))]
    return Judged(positive, probability, units, threshold)


def anonymous(judged: Judged) -> Judged:
    """The same cells of patients whom nobody knows."""
    return Judged(judged.positive, judged.probability, None, judged.threshold)


def of_one_patient(positive: list[bool], probability: list[float]) -> Judged:
    return Judged(np.array(positive), np.array(probability), ["C1"] * len(positive), 0.5)


def value_of(name: str, positive: list[bool], probability: list[float]) -> float | None:
    """One figure of some cells of one patient at threshold 0.5."""
    return figures(of_one_patient(positive, probability), draws=2)[name].value


def ends(figure: Figure) -> tuple[float, float, float]:
    """Value and interval of a figure that is defined."""
    assert figure.value is not None and figure.low is not None and figure.high is not None
    return figure.value, figure.low, figure.high


def width(figure: Figure) -> float:
    _, low, high = ends(figure)
    return high - low


class TestValues:
    def test_they_stand_in_the_order_in_which_they_are_shown(self) -> None:
        assert list(figures(cells(), draws=2)) == NAMES
        with_prevalence = list(figures(cells(), prevalence=0.1, draws=2))
        assert with_prevalence == [*NAMES[:6], "ppv_at_prevalence", "npv_at_prevalence", *NAMES[6:]]

    @pytest.mark.parametrize(
        ("name", "by_hand"),
        [
            ("accuracy", 5 / 8),
            ("sensitivity", 2 / 3),
            ("specificity", 3 / 5),
            ("balanced_accuracy", (2 / 3 + 3 / 5) / 2),
            ("ppv", 2 / 4),
            ("npv", 3 / 4),
            ("f1", 4 / 7),
            ("mcc", (2 * 3 - 2 * 1) / (4 * 3 * 5 * 4) ** 0.5),
        ],
    )
    def test_shares_of_right_calls_are_those_counted_by_hand(
        self, name: str, by_hand: float
    ) -> None:
        positive = [True, True, True, False, False, False, False, False]
        probability = [0.9, 0.5, 0.4, 0.1, 0.2, 0.3, 0.7, 0.5]
        assert value_of(name, positive, probability) == pytest.approx(by_hand)

    @pytest.mark.parametrize("threshold", [0.2, 0.5, 0.77])
    def test_they_are_those_of_scikit_learn(self, threshold: float) -> None:
        judged = cells(threshold=threshold)
        positive, called = judged.positive, judged.called
        expected = {
            "accuracy": sk.accuracy_score(positive, called),
            "balanced_accuracy": sk.balanced_accuracy_score(positive, called),
            "sensitivity": sk.recall_score(positive, called),
            "specificity": sk.recall_score(positive, called, pos_label=False),
            "ppv": sk.precision_score(positive, called),
            "npv": sk.precision_score(positive, called, pos_label=False),
            "f1": sk.f1_score(positive, called),
            "mcc": sk.matthews_corrcoef(positive, called),
            "roc_auc": sk.roc_auc_score(positive, judged.probability),
            "average_precision": sk.average_precision_score(positive, judged.probability),
            "brier_score": sk.brier_score_loss(positive, judged.probability),
        }
        found = {name: figure.value for name, figure in figures(judged, draws=2).items()}
        del found["expected_calibration_error"]
        assert found == pytest.approx(expected)

    @pytest.mark.parametrize("decimals", [6, 1, 0], ids=["few ties", "many ties", "two values"])
    def test_the_auc_is_that_of_scikit_learn_with_ties(self, decimals: int) -> None:
        judged = cells(decimals=decimals)
        expected = sk.roc_auc_score(judged.positive, judged.probability)
        assert figures(judged, draws=2)["roc_auc"].value == pytest.approx(expected)

    @settings(max_examples=25)
    @given(
        st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=30).filter(
            lambda drawn: len({label for label, _ in drawn}) == 2
        )
    )
    def test_the_draw_of_a_single_patient_has_the_values_of_the_cells(
        self, drawn: list[tuple[bool, int]]
    ) -> None:
        judged = of_one_patient([label for label, _ in drawn], [n / 8 for _, n in drawn])
        sampled = draw_figures(judged, prevalence=0.3, draws=2)
        for name, figure in figures(judged, prevalence=0.3, draws=2).items():
            if figure.value is None:
                assert np.isnan(sampled[name]).all(), name
            else:
                assert sampled[name] == pytest.approx([figure.value] * 2), name
                assert (figure.low, figure.high) == (None, None), "one patient shows no doubt"

    def test_the_auc_of_a_draw_weighs_cells_as_scikit_learn_does(self) -> None:
        judged = cells(patients=3, cells_each=8, decimals=1)
        assert judged.patients is not None
        names = sorted(set(judged.patients))
        possible = []
        for drawn in combinations_with_replacement(names, len(names)):
            weights = [drawn.count(patient) for patient in judged.patients]
            if len({label for label, n in zip(judged.positive, weights, strict=True) if n}) == 2:
                possible.append(
                    sk.roc_auc_score(judged.positive, judged.probability, sample_weight=weights)
                )
        seen = set()
        for seed in range(20):
            _, low, high = ends(figures(judged, seed=seed, draws=1)["roc_auc"])
            assert low == high
            assert np.isclose(low, possible).any()
            seen.add(round(low, 6))
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

    def test_a_cell_at_the_threshold_is_called_parasitized(self) -> None:
        assert list(of_one_patient([True] * 3, [0.499999, 0.5, 0.500001]).called) == [
            False,
            True,
            True,
        ]


class TestPredictiveValues:
    def test_they_are_those_of_bayes_rule_by_hand(self) -> None:
        # Of 10,000 cells 100 are infected: 96 found, 4 missed; 9,900 healthy: 297 false alarms.
        found = predictive_values(0.96, 0.97, 0.01)
        assert found["ppv_at_prevalence"] == pytest.approx(96 / (96 + 297))
        assert found["npv_at_prevalence"] == pytest.approx(9603 / (9603 + 4))

    @pytest.mark.parametrize(
        ("sensitivity", "specificity", "prevalence", "ppv", "npv"),
        [
            pytest.param(0.9, 0.9, 0.0, 0.0, 1.0, id="nobody is infected"),
            pytest.param(0.9, 0.9, 1.0, 1.0, 0.0, id="every cell is"),
            pytest.param(0.9, 1.0, 0.0, None, 1.0, id="nothing is called parasitized"),
            pytest.param(1.0, 0.9, 1.0, 1.0, None, id="nothing is called uninfected"),
        ],
    )
    def test_at_the_ends_they_are_the_limit_or_not_defined(
        self,
        sensitivity: float,
        specificity: float,
        prevalence: float,
        ppv: float | None,
        npv: float | None,
    ) -> None:
        found = predictive_values(sensitivity, specificity, prevalence)
        assert found == {"ppv_at_prevalence": ppv, "npv_at_prevalence": npv}

    def test_their_intervals_follow_from_sensitivity_and_specificity(self) -> None:
        found = figures(cells(), prevalence=0.02, draws=300)
        sensitivity, specificity = found["sensitivity"].value, found["specificity"].value
        assert sensitivity is not None and specificity is not None
        value, low, high = ends(found["ppv_at_prevalence"])
        by_hand = predictive_values(sensitivity, specificity, 0.02)["ppv_at_prevalence"]
        assert value == pytest.approx(by_hand)
        assert low < value < high
        assert value < ends(found["ppv"])[0]


class TestIntervals:
    def test_they_hold_the_value(self) -> None:
        found = figures(cells(), prevalence=0.1, draws=300)
        del found["expected_calibration_error"]  # grows with doubt, so that draws lie above it
        for name, figure in found.items():
            value, low, high = ends(figure)
            assert low < value < high, name

    def test_they_are_the_middle_95_percent_of_the_draws(self) -> None:
        drawn = draw_figures(cells(), draws=300)["sensitivity"]
        _, low, high = ends(figures(cells(), draws=300)["sensitivity"])
        assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))

    def test_draws_that_define_nothing_are_left_out(self) -> None:
        assert interval(np.array([np.nan, 0.2, np.nan])) == (0.2, 0.2)
        assert interval(np.array([np.nan, np.nan])) == (None, None)

    def test_they_are_wider_by_patient_than_by_cell_where_cells_of_a_patient_are_alike(
        self,
    ) -> None:
        rng = np.random.default_rng(4)
        wrong = np.repeat(rng.random(30) < 0.2, 20)
        positive = np.tile([True, False], 300)
        probability = np.where(positive ^ wrong, 0.9, 0.1)
        units = [f"C{i // 20}" for i in range(600)]
        by_patient = figures(Judged(positive, probability, units, 0.5), draws=300)
        by_cell = figures(anonymous(Judged(positive, probability, units, 0.5)), draws=300)
        for name in ("accuracy", "sensitivity", "specificity", "roc_auc", "mcc", "brier_score"):
            assert width(by_patient[name]) > 2 * width(by_cell[name]), name
            assert by_patient[name].value == by_cell[name].value

    def test_one_seed_gives_one_result_and_another_seed_another_interval(self) -> None:
        first, again = (figures(cells(), seed=1, draws=50) for _ in range(2))
        other = figures(cells(), seed=2, draws=50)
        assert first == again
        assert first["accuracy"].value == other["accuracy"].value
        assert first["accuracy"] != other["accuracy"]

    def test_the_order_of_the_cells_does_not_matter(self) -> None:
        judged = cells()
        assert judged.patients is not None
        order = np.random.default_rng(0).permutation(len(judged.positive))
        units = [judged.patients[i] for i in order]
        shuffled = Judged(judged.positive[order], judged.probability[order], units, 0.5)
        mixed = figures(shuffled, draws=50)
        for name, figure in figures(judged, draws=50).items():
            assert ends(figure) == pytest.approx(ends(mixed[name]))


class TestUnknownPatients:
    @pytest.mark.parametrize(
        ("name", "chosen"),
        [
            ("accuracy", lambda judged: np.ones_like(judged.positive)),
            ("sensitivity", lambda judged: judged.positive),
            ("specificity", lambda judged: ~judged.positive),
            ("ppv", lambda judged: judged.called),
            ("npv", lambda judged: ~judged.called),
        ],
    )
    def test_proportions_have_the_intervals_of_wilson(
        self, name: str, chosen: Callable[[Judged], Bools]
    ) -> None:
        judged = anonymous(cells())
        inside = chosen(judged)
        right = int((judged.positive == judged.called)[inside].sum())
        expected = binomtest(right, int(inside.sum())).proportion_ci(method="wilson")
        value, low, high = ends(figures(judged, draws=20)[name])
        assert value == pytest.approx(right / inside.sum())
        assert (low, high) == pytest.approx((expected.low, expected.high))

    def test_faultless_calls_leave_a_doubt_all_the_same(self) -> None:
        judged = Judged(np.array([True] * 10 + [False] * 10), np.repeat([0.9, 0.1], 10), None, 0.5)
        assert ends(figures(judged, draws=20)["sensitivity"])[1] == pytest.approx(0.7225, abs=1e-4)

    def test_the_others_draw_single_cells(self) -> None:
        judged = cells()
        each_alone = [str(i) for i in range(len(judged.positive))]
        expected = figures(Judged(judged.positive, judged.probability, each_alone, 0.5), draws=50)
        found = figures(anonymous(judged), draws=50)
        assert {name: width(found[name]) for name in ("roc_auc", "brier_score", "mcc")} == {
            name: pytest.approx(width(expected[name])) for name in ("roc_auc", "brier_score", "mcc")
        }

    def test_there_are_no_results_of_patients(self) -> None:
        assert per_patient(anonymous(cells())) == []


class TestPatients:
    RESULTS = (
        PatientResult("C3", parasitized=0, uninfected=4, missed=0, false_alarms=3),
        PatientResult("C2", parasitized=2, uninfected=2, missed=1, false_alarms=0),
        PatientResult("C1", parasitized=3, uninfected=0, missed=0, false_alarms=0),
    )

    def test_each_is_counted_and_the_largest_share_of_wrong_calls_comes_first(self) -> None:
        judged = Judged(
            np.array([True, True, False, False, True, True, True, False, False, False, False]),
            np.array([0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1]),
            [*["C2"] * 4, *["C1"] * 3, *["C3"] * 4],
            0.5,
        )
        assert per_patient(judged) == list(self.RESULTS)

    def test_those_who_are_alike_stand_by_name(self) -> None:
        judged = Judged(np.array([True, True]), np.array([0.9, 0.9]), ["b", "a"], 0.5)
        assert [result.patient for result in per_patient(judged)] == ["a", "b"]

    def test_shares_without_cells_are_not_defined(self) -> None:
        third, _, first = self.RESULTS
        assert (third.sensitivity, third.false_positive_rate, third.accuracy) == (None, 0.75, 0.25)
        assert (first.sensitivity, first.false_positive_rate, first.accuracy) == (1, None, 1)

    def test_means_count_each_patient_alike_and_leave_out_who_has_no_such_cells(self) -> None:
        found = patient_figures(self.RESULTS, draws=200)
        values = {name: figure.value for name, figure in found.items()}
        assert values == pytest.approx(
            {
                "accuracy": (0.25 + 0.75 + 1) / 3,
                "sensitivity": (0.5 + 1) / 2,
                "specificity": (0.25 + 1) / 2,
            }
        )
        for figure in found.values():
            value, low, high = ends(figure)
            assert low < value < high

    def test_a_mean_of_nobody_is_not_defined(self) -> None:
        found = patient_figures(self.RESULTS[:1], draws=20)
        assert found["sensitivity"] == UNKNOWN
        assert found["specificity"] == Figure(0.25, None, None)

    def test_the_intervals_draw_patients(self) -> None:
        many = [PatientResult(f"C{i}", 10, 10, i % 5, 0) for i in range(40)]
        few = many[:10]
        assert width(patient_figures(few)["sensitivity"]) > 1.5 * width(
            patient_figures(many)["sensitivity"]
        )
        assert patient_figures(few, seed=1) == patient_figures(few, seed=1)


@pytest.mark.parametrize("known_patients", [True, False])
@pytest.mark.parametrize("label", [True, False])
class TestOneClassOnly:
    def found(self, label: bool, known_patients: bool) -> dict[str, Figure]:
        patients = list("aabb") if known_patients else None
        judged = Judged(np.full(4, label), np.array([0.2, 0.7, 0.8, 0.1]), patients, 0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return figures(judged, prevalence=0.1, draws=20)

    def test_figures_that_need_the_other_class_are_not_defined(
        self, label: bool, known_patients: bool
    ) -> None:
        found = self.found(label, known_patients)
        unknown = {"specificity" if label else "sensitivity", "ppv_at_prevalence"}
        unknown |= {"npv_at_prevalence", "balanced_accuracy", "f1", "mcc"}
        unknown |= {"roc_auc", "average_precision"}
        assert {name for name, figure in found.items() if figure.value is None} == unknown
        assert all(found[name] == UNKNOWN for name in unknown)

    def test_the_others_are_there(self, label: bool, known_patients: bool) -> None:
        found = self.found(label, known_patients)
        known = "sensitivity" if label else "specificity"
        assert found[known].value == found["accuracy"].value == 0.5
        assert (found["ppv"].value, found["npv"].value) == ((1, 0) if label else (0, 1))
        for name in ("brier_score", "expected_calibration_error"):
            value, low, high = ends(found[name])
            assert value > 0 and low <= high


def test_a_predictive_value_of_calls_that_nobody_made_is_not_defined() -> None:
    found = figures(of_one_patient([True, False], [0.1, 0.2]), draws=5)
    assert found["ppv"] == UNKNOWN
    assert found["npv"].value == 0.5


def test_figures_are_plain_numbers() -> None:
    for figure in figures(cells(), prevalence=0.1, draws=5).values():
        assert {type(number) for number in ends(figure)} == {float}
        assert np.isfinite(ends(figure)).all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("accuracy", "accuracy"),
        ("roc_auc", "ROC AUC"),
        ("ppv", "PPV"),
        ("expected_calibration_error", "expected calibration error"),
        ("npv_at_prevalence", "NPV at prevalence 0.1 %"),
    ],
)
def test_people_call_a_figure_by_its_usual_name(name: str, said: str) -> None:
    assert label(name, 0.001) == said


def test_what_hangs_on_the_cells_of_one_patient_has_no_interval() -> None:
    """Three patients, of whom one is infected: nothing is known of how others would do."""
    positive = np.array([True, True, False, False, False, False])
    probability = np.array([0.9, 0.2, 0.6, 0.1, 0.2, 0.3])
    judged = Judged(positive, probability, ["C1", "C1", "C2", "C2", "C3", "C3"], 0.5)

    found = figures(judged, prevalence=0.02, draws=200)

    without = {name for name, figure in found.items() if figure.low is None}
    assert found.keys() - without == {
        *("accuracy", "specificity", "brier_score", "expected_calibration_error")
    }
    assert found["sensitivity"].value == 0.5
    assert not doubt_is_known(judged)
