"""Pictures of an evaluation: they open, and show what they should."""

import io
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from test_evaluate import SOUND, Oracle, Probabilities, evaluated

from malscan.evaluate import evaluate
from malscan.evaluation import plots
from malscan.evaluation.plots import ERRORS_SHOWN, PATIENTS_SHOWN, pictures, surest_errors
from malscan.evaluation.result import EvaluationResult
from malscan.evaluation.settings import EvaluateSettings

ORANGE = (0xD5, 0x5E, 0)
ODD_LETTERS = "\u60a3\u8005 \N{MOSQUITO}"
Pixels = npt.NDArray[np.uint8]
DRAWERS = ("_confusion", "_reliability", "_roc", "_precision_recall", "_patients", "_errors")


def only(drawer: str, result: EvaluationResult) -> bytes:
    """One of the pictures; the others would only take time."""
    with pytest.MonkeyPatch.context() as patch:
        for other in set(DRAWERS) - {drawer}:
            patch.setattr(plots, other, lambda _: b"")
        (png,) = filter(None, pictures(result).values())
    return png


def names(result: EvaluationResult) -> set[str]:
    """Which pictures there would be."""
    with pytest.MonkeyPatch.context() as patch:
        for drawer in set(DRAWERS) - {"_errors"}:
            patch.setattr(plots, drawer, lambda _: b"png")
        return set(pictures(result))


def opened(png: bytes) -> Pixels:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def check_drawn(png: bytes) -> None:
    """Make sure that a picture is one, and not blank."""
    picture = opened(png)
    assert min(picture.shape[:2]) > 100
    assert picture.std() > 5


def like(picture: Pixels, colour: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    distance = np.abs(picture.astype(int) - np.array(colour)).max(axis=-1)
    return np.asarray(distance < 8)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The pictures of 16 cells of which two are called wrong."""
    return pictures(evaluated(tmp_path_factory.mktemp("plots"), SOUND))


def test_there_is_one_of_each_kind(sound: Mapping[str, bytes]) -> None:
    assert sorted(sound) == [
        "confusion_matrix",
        "errors",
        "patients",
        "precision_recall",
        "reliability",
        "roc",
    ]
    for png in sound.values():
        check_drawn(png)
        picture = opened(png)
        assert (picture[0] == 255).all() and (picture[-1] == 255).all(), "cut off"


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    result = evaluated(tmp_path, SOUND)
    for drawer in ("_roc", "_errors"):
        first, again = (only(drawer, result) for _ in range(2))
        assert first == again


@pytest.mark.parametrize("name", ["roc", "precision_recall"])
def test_the_operating_point_moves_with_the_threshold(
    name: str, sound: Mapping[str, bytes], tmp_path: Path
) -> None:
    """A stricter threshold finds fewer cells: down the ROC curve, left on the other one."""
    strict = only(f"_{name}", evaluated(tmp_path, SOUND, threshold=0.67))
    axis = 0 if name == "roc" else 1
    before, after = (
        np.argwhere(like(opened(png), ORANGE))[:, axis].mean() for png in (sound[name], strict)
    )
    assert after > before + 20 if name == "roc" else after < before - 20


@pytest.mark.parametrize(
    ("folder", "missing"),
    [("Parasitized", set[str]()), ("Uninfected", {"patients"})],
)
def test_of_one_class_what_is_not_defined_is_left_out(
    folder: str, missing: set[str], sound: Mapping[str, bytes], tmp_path: Path
) -> None:
    result = evaluated(tmp_path, {name: p for name, p in SOUND.items() if folder in name})
    assert set(sound) - names(result) == {"roc", "precision_recall"} | missing
    check_drawn(only("_reliability", result))


def test_without_errors_there_is_no_sheet_and_without_patients_no_patients(tmp_path: Path) -> None:
    found = names(evaluated(tmp_path, {"Parasitized/a.png": 0.9, "Uninfected/b.png": 0.1}))
    assert found == {"confusion_matrix", "precision_recall", "reliability", "roc"}


def test_a_model_that_always_says_the_same_can_be_drawn(tmp_path: Path) -> None:
    result = evaluated(tmp_path, dict.fromkeys(SOUND, 0.5))
    for drawer in ("_roc", "_reliability"):
        check_drawn(only(drawer, result))


class TestErrors:
    WRONG: Probabilities = (
        {f"Parasitized/C1P1_IMG_{i}.png": 0.45 - i / 100 for i in range(20)}
        | {f"Uninfected/C1P1_IMG_{i + 50}.png": 0.55 + i / 100 for i in range(3)}
        | {"Parasitized/C2P1_IMG_1.png": 0.9, "Uninfected/C2P1_IMG_2.png": 0.01}
    )

    def test_the_surest_of_each_class_come_first_and_not_too_many(self, tmp_path: Path) -> None:
        result = evaluated(tmp_path, self.WRONG)
        missed = [one.probability for one in surest_errors(result, missed=True)]
        alarms = [one.probability for one in surest_errors(result, missed=False)]
        assert missed == pytest.approx([0.45 - i / 100 for i in range(19, 19 - ERRORS_SHOWN, -1)])
        assert alarms == pytest.approx([0.57, 0.56, 0.55])

    def test_the_sheet_shows_the_wrong_cells_and_no_others(
        self, sound: Mapping[str, bytes]
    ) -> None:
        # Cells are of one colour each; see `Oracle.lay_out`.
        picture = opened(sound["errors"])
        shown = {
            name
            for number, name in enumerate(SOUND)
            if like(picture, (number * 13 % 200 + 30, 90, 120)).sum() > 1000
        }
        assert shown == {"Parasitized/C3P1_IMG_1.png", "Uninfected/C5P1_IMG_2.png"}

    def test_an_image_that_has_gone_leaves_a_gap(self, tmp_path: Path) -> None:
        result = evaluated(tmp_path, SOUND)
        (tmp_path / "Parasitized/C3P1_IMG_1.png").unlink()
        (tmp_path / "Uninfected/C5P1_IMG_2.png").write_bytes(b"no image any more")
        assert opened(only("_errors", result)).std() > 1

    def test_odd_names_of_files_do_no_harm(self, tmp_path: Path) -> None:
        odd = ("$^$", "a_{$b$", "=1+1", ODD_LETTERS, "caf\udce9", "x" * 200)
        said = {f"Parasitized/C9_IMG_{name}.png": 0.1 for name in odd}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # letters that the font lacks
            check_drawn(only("_errors", evaluated(tmp_path, {**SOUND, **said})))


class TestPatients:
    def test_of_many_the_lowest_are_shown(self, tmp_path: Path) -> None:
        heights = [
            len(opened(only("_patients", evaluated(tmp_path / str(number), self.of(number)))))
            for number in (PATIENTS_SHOWN, PATIENTS_SHOWN + 30)
        ]
        assert heights[0] == heights[1] < 2000

    def of(self, patients: int) -> Probabilities:
        return {f"Parasitized/C{i}P1_IMG_1.png": 0.9 for i in range(patients)}

    def named(self, folder: Path, *names: str) -> EvaluationResult:
        """An evaluation of patients of these names, by their folders."""
        oracle = Oracle(folder)
        said = {f"Parasitized/{name}/{i}.png": 0.2 * i for i in range(5) for name in names}
        data = replace(oracle.lay_out(said), patient_folders=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("malscan.evaluate.Predictor", oracle.predictor)
            return evaluate(EvaluateSettings(data))

    def test_odd_names_do_no_harm(self, tmp_path: Path) -> None:
        result = self.named(tmp_path, "[bold]", "=1+1", ODD_LETTERS, "caf\udce9", "two\nlines")
        assert len(result.patients) == 5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # letters that the font lacks
            check_drawn(only("_patients", result))

    def test_names_are_no_formulas(self, tmp_path: Path) -> None:
        result = self.named(tmp_path, "$^$", "$\\frac$", "a$b_{$")
        check_drawn(only("_patients", result))
