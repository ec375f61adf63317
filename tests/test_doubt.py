"""The doubt band: what it calls uncertain, what it leaves alone, and which band is used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malscan.doubt import band_to_use, check_band
from malscan.errors import ExitCode, UsageError
from malscan.prediction import Prediction
from malscan.report.row import row_of
from malscan.report.summary import SlideSummary, Tally
from malscan.walk import CellImage

BAND = (0.3, 0.7)


def call(probability: float | None, band: tuple[float, float] | None = BAND) -> str | None:
    return Prediction(CellImage("a.png", "s"), probability, None).call(0.5, band)


def counted(
    probabilities: list[float | None], band: tuple[float, float] | None, min_cells: int = 0
) -> SlideSummary:
    """The summary of one slide; None is an image that failed."""
    tally = Tally(0.5, min_cells)
    for probability in probabilities:
        error = "empty" if probability is None else None
        tally.add([row_of(Prediction(CellImage("a", "s"), probability, error), 0.5, band)])
    (slide,) = tally.summary(None).slides
    return slide


class TestCall:
    @pytest.mark.parametrize(
        ("probability", "expected"),
        [
            (0.299999, "uninfected"),
            (0.3, "uncertain"),
            (0.5, "uncertain"),
            (0.699999, "uncertain"),
            (0.7, "parasitized"),
            (None, None),
        ],
    )
    def test_the_lower_bound_is_in_the_band_and_the_upper_one_is_not(
        self, probability: float | None, expected: str | None
    ) -> None:
        assert call(probability) == expected

    @pytest.mark.parametrize("bounds", [(0.5, 0.5), (0.0, 0.0), (1.0, 1.0)])
    @pytest.mark.parametrize("probability", [0.0, 0.499999, 0.5, 1.0])
    def test_equal_bounds_are_no_band(
        self, bounds: tuple[float, float], probability: float
    ) -> None:
        assert call(probability, bounds) == call(probability, None) != "uncertain"


class TestCounts:
    def test_each_call_is_counted_and_the_parasitaemia_ignores_the_band(self) -> None:
        slide = counted([0.1, 0.4, 0.4, 0.6, 0.8, None], BAND)
        assert (slide.uninfected, slide.uncertain, slide.parasitized) == (1, 3, 1)
        assert (slide.images, slide.classified, slide.failed) == (6, 5, 1)
        assert slide.above_threshold == 2
        assert slide.apparent is not None
        assert slide.apparent.value == 0.4

    @given(
        probabilities=st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=30),
        band=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda pair: tuple(sorted(pair))),
    )
    def test_calls_add_up_and_the_band_moves_no_parasitaemia(
        self, probabilities: list[float | None], band: tuple[float, float]
    ) -> None:
        slide, without = counted(probabilities, band), counted(probabilities, None)
        assert slide.parasitized + slide.uninfected + slide.uncertain == slide.classified
        assert (slide.apparent, slide.above_threshold) == (
            without.apparent,
            without.above_threshold,
        )
        assert without.uncertain == 0

    @pytest.mark.parametrize(("min_cells", "reliable"), [(0, True), (2, True), (3, False)])
    def test_a_slide_is_reliable_from_the_least_number_of_classified_cells_on(
        self, min_cells: int, reliable: bool
    ) -> None:
        assert counted([0.1, 0.9, None], None, min_cells).reliable is reliable

    def test_the_total_is_judged_by_the_cells_of_all_slides(self) -> None:
        tally = Tally(0.5, 2)
        for slide in ("one", "two"):
            tally.add([row_of(Prediction(CellImage("a", slide), 0.1, None), 0.5)])
        summary = tally.summary(None)
        assert [slide.reliable for slide in summary.slides] == [False, False]
        assert summary.total.reliable


class TestBandToUse:
    def test_a_stated_band_comes_before_that_of_the_model(self) -> None:
        assert band_to_use((0.4, 0.6), BAND, 0.5) == ((0.4, 0.6), None)

    def test_the_band_of_the_model_is_the_default(self) -> None:
        assert band_to_use(None, BAND, 0.5) == (BAND, None)

    def test_a_model_without_band_has_none(self) -> None:
        assert band_to_use(None, None, 0.5) == (None, None)

    @pytest.mark.parametrize("stated", [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
    def test_equal_bounds_switch_off_the_band_of_the_model(
        self, stated: tuple[float, float]
    ) -> None:
        assert band_to_use(stated, BAND, 0.5) == (None, None)

    @pytest.mark.parametrize("threshold", [0.3, 0.7])
    def test_the_threshold_may_lie_on_a_bound(self, threshold: float) -> None:
        assert band_to_use(None, BAND, threshold) == (BAND, None)

    @pytest.mark.parametrize("threshold", [0.29, 0.71])
    def test_the_band_of_the_model_goes_with_no_threshold_outside_it(
        self, threshold: float
    ) -> None:
        band, note = band_to_use(None, BAND, threshold)
        assert band is None
        assert f"0.3 to 0.7 does not hold the threshold {threshold:g}" in str(note)

    def test_a_stated_band_beside_the_threshold_is_used_and_told(self) -> None:
        band, note = band_to_use((0.6, 0.9), None, 0.5)
        assert band == (0.6, 0.9)
        assert "--uncertain 0.6 0.9 does not hold the threshold 0.5" in str(note)


class TestCheckBand:
    @pytest.mark.parametrize("band", [(0.0, 1.0), (0.5, 0.5), (0.2, 0.8)])
    def test_a_band_of_probabilities_is_accepted(self, band: tuple[float, float]) -> None:
        check_band("--uncertain", band)

    @pytest.mark.parametrize(
        "band", [(0.8, 0.2), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5), (0.5, float("nan"))]
    )
    def test_anything_else_is_wrong_usage(self, band: tuple[float, float]) -> None:
        with pytest.raises(UsageError, match=r"--uncertain .* is no band") as caught:
            check_band("--uncertain", band)
        assert caught.value.exit_code == ExitCode.USAGE
