"""An evaluation from end to end with a predictor that says what it is told."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from malscan.errors import ExitCode, MalscanError, UsageError
from malscan.evaluate import EvaluateListener, evaluate
from malscan.evaluation.result import EvaluationResult, GateResult, Independence
from malscan.evaluation.settings import EvaluateSettings, GateOn, Gates
from malscan.model import EMBEDDED, Model
from malscan.prediction import Prediction
from malscan.seen import SeenImages
from malscan.settings import DataSettings, Precision
from malscan.walk import CellImage

Probabilities = Mapping[str, float | None]

# Eight patients, one cell of each class each; two of 16 calls are wrong at 0.5.
SOUND: dict[str, float | None] = {
    **{f"Parasitized/C{i}P1_IMG_1.png": 0.6 + i / 100 for i in range(1, 9)},
    **{f"Uninfected/C{i}P1_IMG_2.png": 0.3 - i / 100 for i in range(1, 9)},
    "Parasitized/C3P1_IMG_1.png": 0.25,
    "Uninfected/C5P1_IMG_2.png": 0.93,
}


@dataclass
class Oracle:
    """Lays out images that need not be any, and says of each what it was told.

    Attributes:
        folder: where they lie.
        said: probability of each by path below the folder; None fails. One table a model.
        hashes: pixel hash by path, where two are to have the same.
        batch_sizes: that predictions were asked for with.
        on_image: called at each image.
    """

    folder: Path
    said: list[Probabilities] = field(default_factory=list)
    hashes: dict[str, int] = field(default_factory=dict)
    batch_sizes: list[int] = field(default_factory=list)
    on_image: Callable[[], object] = lambda: None

    def lay_out(self, *said: Probabilities) -> DataSettings:
        """Make the images; each table is what one model says."""
        self.said = list(said)
        for number, name in enumerate(said[0]):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = (number * 13 % 200 + 30, 90, 120)
            Image.new("RGB", (20, 18), shade).save(path)
        return DataSettings(self.folder)

    def predictor(self, model: Model, *, precision: Precision) -> "Teller":
        """Stands for `malscan.predictor.Predictor`."""
        return Teller(self, self.said.pop(0) if len(self.said) > 1 else self.said[0])


@dataclass
class Teller:
    oracle: Oracle
    said: Probabilities

    def predict(
        self, images: Sequence[CellImage], *, batch_size: int, any_size: bool, hashed: bool
    ) -> Iterator[list[Prediction]]:
        assert hashed
        self.oracle.batch_sizes.append(batch_size)
        for number, image in enumerate(images):
            self.oracle.on_image()
            name = image.path.removeprefix(f"{self.oracle.folder}/")
            probability = self.said[name]
            error = "truncated file" if probability is None else None
            pixel_hash = self.oracle.hashes.get(name, number + 1000)
            yield [Prediction(image, probability, error, pixel_hash=pixel_hash)]


@pytest.fixture
def oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Oracle:
    found = Oracle(tmp_path / "cells")
    monkeypatch.setattr("malscan.evaluate.Predictor", found.predictor)
    return found


def evaluated(
    folder: Path, *said: Probabilities, hashes: Mapping[str, int] | None = None, **settings: Any
) -> EvaluationResult:
    """The evaluation of images in a folder of which each model says what it is told."""
    oracle = Oracle(folder, hashes=dict(hashes or {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("malscan.evaluate.Predictor", oracle.predictor)
        return evaluate(EvaluateSettings(oracle.lay_out(*said), **settings))


Judge = Callable[..., EvaluationResult]


@pytest.fixture
def judge(oracle: Oracle) -> Judge:
    """Evaluates some probabilities with further settings."""

    def run(said: Probabilities, **settings: Any) -> EvaluationResult:
        return evaluate(EvaluateSettings(oracle.lay_out(said), **settings))

    return run


def renamed(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of the embedded model with another description."""
    copy = folder / name
    shutil.copytree(EMBEDDED, copy)
    metadata = json.loads((copy / "model.json").read_text())
    metadata["name"] = name
    change(metadata)
    (copy / "model.json").write_text(json.dumps(metadata))
    return copy


class TestFigures:
    def test_they_are_those_of_the_labels_and_probabilities(self, judge: Judge) -> None:
        result = judge(SOUND)
        values = {name: figure.value for name, figure in result.figures.items()}
        assert (values["accuracy"], values["sensitivity"]) == (14 / 16, 7 / 8)
        assert (result.counts.images, result.counts.evaluated) == (16, 16)
        assert (result.exit_code, result.independence) == (ExitCode.OK, Independence.CHECKED)

    def test_the_threshold_is_the_models_unless_another_is_given(
        self, judge: Judge, tmp_path: Path
    ) -> None:
        strict = renamed(tmp_path, "strict", lambda model: model.update(threshold=0.65))
        by_threshold = {
            result.judged.threshold: result.figures["sensitivity"].value
            for result in (
                judge(SOUND),
                judge(SOUND, model=strict),
                judge(SOUND, model=strict, threshold=0.2),
            )
        }
        assert by_threshold == {0.5: 7 / 8, 0.65: 4 / 8, 0.2: 1.0}

    def test_the_worst_patients_come_first(self, judge: Judge) -> None:
        patients = judge(SOUND).patients
        assert [one.patient for one in patients[:3]] == ["C3", "C5", "C1"]
        assert (patients[0].missed, patients[1].false_alarms) == (1, 1)

    def test_predictive_values_at_a_prevalence_only_where_one_is_given(self, judge: Judge) -> None:
        assert "ppv_at_prevalence" not in judge(SOUND).figures
        assert judge(SOUND, prevalence=0.5).figures["ppv_at_prevalence"].value == 7 / 8

    def test_one_cell_of_an_unknown_patient_is_not_hidden_among_the_known(
        self, judge: Judge
    ) -> None:
        result = judge({**SOUND, "Uninfected/anonymous.png": 0.1})
        assert result.judged.patients is None
        assert (result.patients, result.patient_figures) == ([], {})
        assert result.counts.evaluated == 17

    def test_the_environment_can_name_the_model(
        self, judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = renamed(tmp_path, "other", lambda model: None)
        monkeypatch.setenv("MALSCAN_MODEL", str(other))
        assert judge(SOUND).model.name == "other"
        assert judge(SOUND, model=EMBEDDED).model.name == "compact"

    def test_the_same_cells_give_the_same_result(self, judge: Judge) -> None:
        assert judge(SOUND).figures == judge(SOUND).figures


class TestOneClass:
    """What cannot be defined is given as not defined, the rest still there (issue 4)."""

    @pytest.mark.parametrize(
        ("folder", "known", "unknown"),
        [
            ("Uninfected", "specificity", "sensitivity"),
            ("Parasitized", "sensitivity", "specificity"),
        ],
    )
    def test_the_rest_is_there(self, folder: str, known: str, unknown: str, judge: Judge) -> None:
        result = judge({name: p for name, p in SOUND.items() if name.startswith(folder)})
        assert result.figures[known].value == result.figures["accuracy"].value == 7 / 8
        for name in (unknown, "roc_auc", "mcc", "balanced_accuracy"):
            assert result.figures[name].value is None
        assert (result.exit_code, len(result.patients)) == (ExitCode.OK, 8)

    def test_a_gate_on_what_is_not_defined_is_missed(self, judge: Judge) -> None:
        only = {name: p for name, p in SOUND.items() if name.startswith("Uninfected")}
        result = judge(only, gates=Gates(specificity=0.5, sensitivity=0.0))
        assert [gate.met for gate in result.gates] == [False, True]
        assert result.exit_code == ExitCode.GATE_MISSED

    def test_it_may_be_what_is_left_when_seen_patients_are_set_aside(
        self, judge: Judge, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cells: Probabilities = {
            "Parasitized/C1P1_IMG_1.png": 0.9,
            "Uninfected/C2_IMG_1.png": 0.1,
            "Uninfected/C3_IMG_1.png": 0.2,
        }
        monkeypatch.setattr("malscan.evaluate.load_seen_images", lambda *_: only_seen(77))
        oracle.hashes["Parasitized/C1P1_IMG_1.png"] = 77
        result = judge(cells)
        assert result.seen_patients == ["C1"]
        assert result.figures["specificity"].value == 1
        assert result.figures["sensitivity"].value is None


def only_seen(*hashes: int) -> SeenImages:
    return SeenImages.of((digest, "train", "C1") for digest in hashes)


def gates(name: str, limit: float) -> Gates:
    given: dict[str, Any] = {name: limit}
    return Gates(**given)


class TestGates:
    @pytest.mark.parametrize("name", ["accuracy", "sensitivity", "specificity", "roc_auc"])
    def test_each_is_met_at_its_limit_and_missed_above_it(self, name: str, judge: Judge) -> None:
        value = judge(SOUND).figures[name].value
        assert value is not None
        met = judge(SOUND, gates=gates(name, value))
        missed = judge(SOUND, gates=gates(name, value + 1e-6))
        assert (met.exit_code, [gate.met for gate in met.gates]) == (ExitCode.OK, [True])
        assert [(g.figure, g.value, g.met) for g in missed.gates] == [(name, value, False)]
        assert missed.exit_code == ExitCode.GATE_MISSED

    def test_they_can_look_at_the_lower_end_of_the_interval(self, judge: Judge) -> None:
        found = judge(SOUND).figures["sensitivity"]
        assert found.value is not None and found.low is not None
        between = (found.value + found.low) / 2
        on_point = judge(SOUND, gates=Gates(sensitivity=between))
        on_lower = judge(SOUND, gates=Gates(sensitivity=between, on=GateOn.LOWER))
        assert (on_point.exit_code, on_lower.exit_code) == (ExitCode.OK, ExitCode.GATE_MISSED)
        assert on_lower.gates == [GateResult("sensitivity", between, found.low)]

    def test_a_missed_gate_outweighs_unreadable_images(self, judge: Judge) -> None:
        said = {**SOUND, "Uninfected/C1P1_IMG_9.png": None}
        failing = {"allow_failed": True}
        codes = [
            judge(said, gates=gates, **failing).exit_code
            for gates in (Gates(), Gates(accuracy=0.5), Gates(accuracy=0.99))
        ]
        assert codes == [
            ExitCode.SOME_UNREADABLE,
            ExitCode.SOME_UNREADABLE,
            ExitCode.GATE_MISSED,
        ]

    def test_a_figure_that_is_not_defined_does_not_pass(self) -> None:
        assert not GateResult("roc_auc", 0.0, None).met

    @pytest.mark.parametrize(
        ("name", "limit", "option"),
        [("roc_auc", 1.5, "--min-auc"), ("accuracy", -1, "--min-accuracy")],
    )
    def test_limits_that_nothing_can_reach_are_usage_errors(
        self, name: str, limit: float, option: str
    ) -> None:
        with pytest.raises(UsageError, match=f"{option} .* is not between 0 and 1"):
            gates(name, limit)


class TestUnreadable:
    # One in 20 is just 5 %.
    CELLS: Probabilities = {f"Parasitized/C{i}P1_IMG_1.png": 0.9 for i in range(10)} | {
        f"Uninfected/C{i}P1_IMG_2.png": 0.1 for i in range(10)
    }

    def failing(self, *names: str) -> Probabilities:
        return {**self.CELLS, **dict.fromkeys(names)}

    def test_they_are_listed_and_counted_and_the_rest_is_evaluated(self, judge: Judge) -> None:
        result = judge(self.failing("Parasitized/C4P1_IMG_1.png"))
        assert [Path(one.image.path).name for one in result.failed] == ["C4P1_IMG_1.png"]
        assert (result.counts.images, result.counts.failed, result.counts.evaluated) == (20, 1, 19)
        assert result.figures["accuracy"].value == 1
        assert result.exit_code == ExitCode.SOME_UNREADABLE

    def test_more_than_one_in_twenty_stops_it_and_names_the_first(self, judge: Judge) -> None:
        said = self.failing("Parasitized/C4P1_IMG_1.png", "Uninfected/C2P1_IMG_2.png")
        with pytest.raises(MalscanError) as caught:
            judge(said)
        text = str(caught.value)
        assert text.startswith("2 of 20 images cannot be read, more than 5%; the first is ")
        assert "Parasitized/C4P1_IMG_1.png: truncated file" in text
        assert "--allow-failed" in text

    def test_it_can_be_allowed(self, judge: Judge) -> None:
        said = self.failing("Parasitized/C4P1_IMG_1.png", "Uninfected/C2P1_IMG_2.png")
        assert judge(said, allow_failed=True).exit_code == ExitCode.SOME_UNREADABLE

    def test_one_that_only_the_second_model_cannot_read_judges_neither(
        self, oracle: Oracle
    ) -> None:
        data = oracle.lay_out(SOUND, {**SOUND, "Parasitized/C3P1_IMG_1.png": None})
        settings = EvaluateSettings(data, compare=EMBEDDED, allow_failed=True)
        result = evaluate(settings)
        assert [Path(one.image.path).name for one in result.failed] == ["C3P1_IMG_1.png"]
        assert result.comparison is not None
        assert len(result.judged.positive) == len(result.comparison.judged.positive) == 15


class TestCompare:
    def other(self, tmp_path: Path, **change: Any) -> Path:
        return renamed(tmp_path, "other", lambda model: model.update(change))

    def test_the_same_model_differs_in_nothing(self, judge: Judge) -> None:
        comparison = judge(SOUND, compare=EMBEDDED, prevalence=0.1).comparison
        assert comparison is not None
        assert comparison.disagreements == []
        for figure in comparison.differences.values():
            assert (figure.value, figure.low, figure.high) == (0, 0, 0)

    def test_differences_are_those_of_the_figures_in_the_same_draws(
        self, oracle: Oracle, tmp_path: Path
    ) -> None:
        second = {**SOUND, "Parasitized/C3P1_IMG_1.png": 0.8, "Uninfected/C1P1_IMG_2.png": 0.7}
        data = oracle.lay_out(SOUND, second)
        result = evaluate(EvaluateSettings(data, compare=self.other(tmp_path)))
        comparison = result.comparison
        assert comparison is not None
        difference = comparison.differences["sensitivity"]
        assert difference.value == pytest.approx(7 / 8 - 1)
        # Only patient C3 is called differently: in 36 % of the draws not at all.
        assert difference.low is not None and -0.5 < difference.low < -0.2
        assert difference.high == 0
        names = [Path(result.predictions[i].image.path).name for i in comparison.disagreements]
        assert names == ["C3P1_IMG_1.png", "C1P1_IMG_2.png"]

    def test_each_calls_at_its_own_threshold_unless_one_is_given(
        self, oracle: Oracle, tmp_path: Path
    ) -> None:
        other = self.other(tmp_path, threshold=0.65)
        found = {}
        for threshold in (None, 0.5):
            data = oracle.lay_out(SOUND)
            settings = EvaluateSettings(data, compare=other, threshold=threshold)
            comparison = evaluate(settings).comparison
            assert comparison is not None
            found[threshold] = len(comparison.disagreements)
        assert found == {None: 3, 0.5: 0}

    def test_cells_that_the_second_has_seen_judge_neither(
        self, judge: Judge, oracle: Oracle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "malscan.evaluate.load_seen_images",
            lambda _, model: only_seen(77) if model.name == "other" else only_seen(),
        )
        oracle.hashes["Uninfected/C6P1_IMG_2.png"] = 77
        result = judge(SOUND, compare=self.other(tmp_path))
        assert result.seen_patients == ["C6"]
        assert result.comparison is not None
        assert len(result.comparison.judged.positive) == len(result.predictions) == 14


class TestCopies:
    def test_images_in_both_classes_or_repeated_are_told(
        self, judge: Judge, oracle: Oracle
    ) -> None:
        oracle.hashes = {
            "Parasitized/C1P1_IMG_1.png": 5,
            "Uninfected/C1P1_IMG_2.png": 5,
            "Uninfected/C2P1_IMG_2.png": 6,
            "Uninfected/C3P1_IMG_2.png": 6,
        }
        counts = judge(SOUND).counts
        (group,) = counts.contradictory
        assert [path.removeprefix(f"{oracle.folder}/") for path in group] == [
            "Parasitized/C1P1_IMG_1.png",
            "Uninfected/C1P1_IMG_2.png",
        ]
        assert (counts.repeated, counts.evaluated) == (1, 16)


class TestListener:
    def test_it_hears_of_every_image_and_what_was_left_out(self, oracle: Oracle) -> None:
        done: list[tuple[int, int]] = []
        messages: list[str] = []
        data = oracle.lay_out(SOUND)
        Image.new("RGB", (20, 20)).save(oracle.folder / "stray.png")

        evaluate(
            EvaluateSettings(data, compare=EMBEDDED, batch_size=7),
            EvaluateListener(messages.append, lambda *seen: done.append(seen)),
        )

        assert sum(count for count, _ in done) == 32
        assert {images for _, images in done} == {32}
        assert messages[0] == "left out 1 images that lie in no class folder"
        assert oracle.batch_sizes == [7, 7]

    def test_what_it_raises_ends_the_evaluation(self, oracle: Oracle, tmp_path: Path) -> None:
        def stop(done: int, images: int) -> None:
            raise MalscanError("enough")

        settings = EvaluateSettings(oracle.lay_out(SOUND), out=tmp_path / "out")
        with pytest.raises(MalscanError, match="enough"):
            evaluate(settings, EvaluateListener(on_images=stop))
        assert not (tmp_path / "out").exists()


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"threshold": 1.5}, "--threshold 1.5 is not between 0 and 1"),
            ({"prevalence": -0.1}, "--prevalence -0.1 is not between 0 and 1"),
            ({"prevalence": float("nan")}, "--prevalence nan is not between 0 and 1"),
            ({"batch_size": 0}, "--batch-size 0 is not between 1 and 8192"),
            ({"model": Path("nowhere")}, "no such model: nowhere"),
            ({"compare": Path("nowhere")}, "no such model: nowhere"),
            ({"out": Path("/dev/null")}, "--out /dev/null is a file. Name a folder"),
        ],
    )
    def test_what_cannot_be_is_a_usage_error(
        self, given: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match=message):
            EvaluateSettings(DataSettings(tmp_path), **given)


def test_the_patients_of_a_table_may_have_any_name(oracle: Oracle, tmp_path: Path) -> None:
    oracle.lay_out(SOUND)
    rows = [f'cells/{name},{name.split("/")[0]},"p, {i % 3}"' for i, name in enumerate(SOUND)]
    table = tmp_path / "cells.csv"
    table.write_text("\n".join(["path,label,patient", *rows]))
    result = evaluate(EvaluateSettings(DataSettings(table)))
    assert sorted(one.patient for one in result.patients) == ["p, 0", "p, 1", "p, 2"]
    assert np.array_equal(result.judged.positive, [True] * 8 + [False] * 8)
