"""Recipes and settings of a training: what cannot be is refused at once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from malscan.errors import UsageError
from malscan.settings import DataSettings
from malscan.training.recipe import PRESETS, NetworkName, Optimizer, Recipe, SplitKind
from malscan.training.settings import Machine, SplitSettings, ThresholdGoal, TrainSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("batch_size", 8193),
        ("learning_rate", -1e-3),
        ("learning_rate", float("nan")),
        ("weight_decay", 1.5),
        ("label_smoothing", 0.6),
        ("mixup", -0.1),
        ("average", 1.0),
        ("patience", -1),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_a_number_out_of_its_range_is_wrong_usage(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"--{field.replace('_', '-')} .* is not between"):
        replace(Recipe(), **{field: value})


@pytest.mark.parametrize(("cells", "steps"), [(1, 1), (32, 1), (33, 2), (22_048, 689)])
def test_the_last_step_of_an_epoch_may_be_a_short_one(cells: int, steps: int) -> None:
    assert PRESETS["notebook"].recipe.steps(cells) == steps


def test_the_notebook_preset_is_the_notebook() -> None:
    preset = PRESETS["notebook"]
    assert (preset.network, preset.split) == (NetworkName.BASELINE, SplitKind.NOTEBOOK)
    assert (preset.recipe.optimizer, preset.recipe.learning_rate) == (Optimizer.RMSPROP, 1e-3)
    assert (preset.recipe.epochs, preset.recipe.batch_size) == (10, 32)
    told = (preset.recipe.augmentation, preset.recipe.class_weights, preset.recipe.schedule)
    assert tuple(map(str, told)) == ("none", "none", "constant")
    assert (preset.recipe.label_smoothing, preset.recipe.patience) == (0, 0)
    assert (preset.recipe.mixup, preset.recipe.average) == (0, 0)
    assert str(preset.recipe.keep) == "last"


class TestThresholdGoal:
    @pytest.mark.parametrize(
        ("text", "figure", "least"),
        [
            ("sensitivity=0.97", "sensitivity", 0.97),
            ("specificity=.9", "specificity", 0.9),
            (" sensitivity=1 ", "sensitivity", 1.0),
            ("specificity=1.00", "specificity", 1.0),
            ("sensitivity=0", "sensitivity", 0.0),
        ],
    )
    def test_it_is_read(self, text: str, figure: str, least: float) -> None:
        goal = ThresholdGoal.parse(text)
        assert (goal.figure, goal.least) == (figure, least)

    def test_it_is_written_as_it_was_read(self) -> None:
        assert str(ThresholdGoal.parse("sensitivity=0.970")) == "sensitivity=0.97"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0.97",
            "accuracy=0.9",
            "sensitivity",
            "sensitivity=",
            "sensitivity=97",
            "sensitivity=1.1",
            "sensitivity=-0.5",
            "sensitivity=nan",
            "sensitivity=0.9x",
        ],
    )
    def test_anything_else_is_wrong_usage(self, text: str) -> None:
        with pytest.raises(UsageError, match=r"--threshold-for .* is not understood"):
            ThresholdGoal.parse(text)


class TestSplitSettings:
    @pytest.mark.parametrize(
        "given",
        [
            {"folds": 1},
            {"folds": 101},
            {"folds": -1},
            {"validation_share": 0.0},
            {"test_share": 0.95},
            {"kind": SplitKind.CELL, "folds": 3},
            {"kind": SplitKind.NOTEBOOK, "folds": 3},
            {"kind": SplitKind.CELL, "test_patients": Path(__file__)},
            {"file": Path(__file__), "folds": 3},
            {"file": Path(__file__), "test_patients": Path(__file__)},
            {"file": Path("/nowhere/split.csv")},
            {"test_patients": Path("/nowhere/patients.txt")},
        ],
        ids=str,
    )
    def test_what_cannot_be_is_wrong_usage(self, given: dict[str, Any]) -> None:
        with pytest.raises(UsageError):
            SplitSettings(**given)

    def test_what_goes_together_passes(self) -> None:
        assert SplitSettings(folds=5, test_patients=Path(__file__)).folds == 5
        assert SplitSettings(kind=SplitKind.CELL, file=Path(__file__)).file == Path(__file__)


@pytest.mark.parametrize("device", ["", "GPU", "gpu:", "gpu:x", "tpu", "cpu:0"])
def test_an_unknown_device_is_wrong_usage(device: str) -> None:
    with pytest.raises(UsageError, match="give auto, cpu, gpu or gpu:N"):
        Machine(device=device)


class TestTrainSettings:
    def settings(self, tmp_path: Path, **given: Any) -> TrainSettings:
        return TrainSettings(data=DataSettings(tmp_path), out=tmp_path / "m", **given)

    def test_a_model_to_start_from_has_to_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no such model: .*nowhere"):
            self.settings(tmp_path, start_from=tmp_path / "nowhere")

    @pytest.mark.parametrize("name", ["m.keras", "m", "h5"])
    def test_a_keras_file_has_to_be_named_as_one(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"--save-h5 .*ends in \.h5"):
            self.settings(tmp_path, save_h5=Path(name))

    def test_a_keras_file_does_not_go_with_folds(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="does not go with --folds"):
            self.settings(tmp_path, save_h5=Path("m.h5"), split=SplitSettings(folds=2))

    def test_missing_data_is_wrong_usage(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no such file or folder"):
            self.settings(tmp_path / "nowhere")
