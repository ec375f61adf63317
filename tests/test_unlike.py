"""The measure `unlike`: what it sees, what it is calibrated on, and whom it warns about."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from conftest import Cli
from draw_cells import Stain, draw_cell, draw_slides
from PIL import Image, ImageFilter

import malscan
from malscan.appearance import appearance, distance_from
from malscan.cli.scan_display import print_scan
from malscan.dataset import labelled_cells
from malscan.errors import ExitCode, MalscanError
from malscan.labels import PARASITIZED
from malscan.model import EMBEDDED, METADATA, UNLIKE, load_model, save_model
from malscan.networks import BASELINE_PREPROCESSING, COMPACT_PREPROCESSING
from malscan.pipeline import full_batch
from malscan.prediction import Prediction
from malscan.report.row import Row, row_of
from malscan.report.summary import Summary, Tally
from malscan.scan import ScanResult, scan
from malscan.scanning.counts import Counts
from malscan.settings import DataSettings, ScanSettings
from malscan.training.cells import Cells, StoredPixels, load_cells
from malscan.training.settings import Cache
from malscan.training.usual import usual_cells
from malscan.unlike import HIGHEST_LIMIT, STATISTICS, UsualCells, usual_cells_from
from malscan.walk import CellImage

SCHEMA = Path(malscan.__file__).parent / "schemas" / "scan-1.schema.json"

Pixels = npt.NDArray[np.uint8]
Change = Callable[[Image.Image], Image.Image]


def pixels_of(images: list[Image.Image]) -> Pixels:
    """Some crops as the network gets them, nearly."""
    return np.stack([np.asarray(image.convert("RGB").resize((64, 64))) for image in images])


def statistics_of(images: list[Image.Image]) -> dict[str, npt.NDArray[np.float32]]:
    found = appearance(tf.constant(pixels_of(images))).numpy()
    return dict(zip(STATISTICS, found.T, strict=True))


def drawn(count: int, seed: int = 1, stain: Stain | None = None) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    return [draw_cell(rng, number % 2 == 0, size=80, stain=stain) for number in range(count)]


def on_plasma(cell: Image.Image) -> Image.Image:
    """The cell on a bright background instead of black."""
    inside = np.asarray(cell).max(axis=2) > 0
    return Image.composite(
        cell, Image.new("RGB", cell.size, (222, 214, 210)), Image.fromarray(inside)
    )


def blurred(cell: Image.Image) -> Image.Image:
    return cell.filter(ImageFilter.GaussianBlur(2))


def noisy(cell: Image.Image) -> Image.Image:
    pixels = np.asarray(cell)
    grain = np.random.default_rng(0).normal(0, 15, pixels.shape)
    changed = np.where(pixels > 0, np.clip(pixels + grain, 1, 255), 0)
    return Image.fromarray(changed.astype(np.uint8))


def stained_otherwise(cell: Image.Image) -> Image.Image:
    red, green, blue = cell.split()
    return Image.merge("RGB", (green, red, blue))


def cat(cell: Image.Image) -> Image.Image:
    """No cell at all: stripes of fur."""
    y, x = np.mgrid[: cell.height, : cell.width]
    fur = 120 + 60 * np.sin((x + 8 * np.sin(y / 9)) / 2.5)
    return Image.fromarray(np.stack([fur, 0.8 * fur, 0.5 * fur], axis=2).astype(np.uint8))


CHANGES: dict[str, Change] = {
    "no mask": on_plasma,
    "blur": blurred,
    "noise": noisy,
    "other stain": stained_otherwise,
    "cats": cat,
}


@pytest.fixture(scope="module")
def cells(labelled: Path) -> Cells:
    """240 drawn cells of 12 patients."""
    return load_cells(labelled_cells(DataSettings(labelled)).cells, COMPACT_PREPROCESSING)


@pytest.fixture(scope="module")
def usual(cells: Cells) -> UsualCells:
    return usual_cells([cells])


def measured(usual: UsualCells, pixels: Pixels) -> npt.NDArray[np.float64]:
    differences = appearance(tf.constant(pixels)).numpy() - usual.centre
    return usual.unlike(np.linalg.norm(differences @ usual.whitening, axis=1))


class TestAppearance:
    @pytest.mark.parametrize("size", [COMPACT_PREPROCESSING.size, BASELINE_PREPROCESSING.size, 16])
    def test_there_is_a_finite_number_for_whatever_there_is_to_see(self, size: int) -> None:
        rng = np.random.default_rng(2)
        pictures = [
            np.zeros([size, size, 3]),
            np.full([size, size, 3], 255),
            rng.integers(0, 2, [size, size, 3]) * 255,
            np.tile([255, 0, 0], [size, size, 1]),
        ]
        found = appearance(tf.constant(np.stack(pictures).astype(np.uint8))).numpy()
        assert found.shape == (4, len(STATISTICS))
        assert np.isfinite(found).all()

    def test_a_crop_has_the_same_numbers_whatever_its_neighbours(self) -> None:
        crops = pixels_of(drawn(8))
        others = np.random.default_rng(3).integers(0, 256, crops.shape, np.uint8)
        others[5] = crops[5]
        alone, among = (appearance(tf.constant(batch)).numpy()[5] for batch in (crops, others))
        np.testing.assert_array_equal(alone, among)

    @pytest.mark.parametrize("name", ["fine_detail", "coarse_detail"])
    def test_blur_lowers_detail_and_noise_raises_it(self, name: str) -> None:
        plain = drawn(12)
        soft, sharp, grainy = (
            statistics_of([change(cell) for cell in plain])[name]
            for change in (blurred, lambda cell: cell, noisy)
        )
        assert soft.mean() < sharp.mean() < grainy.mean()

    def test_blur_widens_the_rim_of_a_mask_and_no_mask_has_none(self) -> None:
        plain = drawn(12)
        rims = {
            name: statistics_of([CHANGES[name](cell) for cell in plain])["dark_rim"].mean()
            for name in ("no mask", "blur")
        }
        assert rims["no mask"] < statistics_of(plain)["dark_rim"].mean() < rims["blur"]

    def test_corners_and_area_tell_a_cell_that_was_not_cut_out(self) -> None:
        masked, natural = (
            statistics_of([change(c) for c in drawn(6)]) for change in (id_, on_plasma)
        )
        assert masked["corners"].max() < 0.1 < 0.8 < natural["corners"].min()
        assert masked["cell_area"].max() < 0.95
        assert natural["cell_area"].min() > 0.99

    def test_colours_are_means_of_the_middle_between_0_and_1(self) -> None:
        picture = Image.new("RGB", (90, 90), (51, 102, 204))
        found = statistics_of([picture])
        assert [found[name][0] for name in ("red", "green", "blue")] == pytest.approx(
            [0.2, 0.4, 0.8], abs=1e-5
        )

    def test_spread_and_correlation_are_those_of_the_pixels_in_the_middle(self) -> None:
        crop = pixels_of([noisy(drawn(1)[0])])
        found = dict(zip(STATISTICS, appearance(tf.constant(crop)).numpy()[0], strict=True))
        middle = crop[0, 20:44, 20:44].reshape(-1, 3).astype(float) / 255
        expected = np.asarray(np.corrcoef(middle.T))
        assert found["blue_spread"] == pytest.approx(np.log(middle[:, 2].std()), abs=1e-3)
        assert found["red_with_green"] == pytest.approx(expected[0, 1], abs=1e-3)
        assert found["green_with_blue"] == pytest.approx(expected[1, 2], abs=1e-3)
        assert found["red_with_blue"] == pytest.approx(expected[0, 2], abs=1e-3)

    def test_grey_has_no_detail_of_colour(self) -> None:
        plain = noisy(drawn(1)[0])
        coloured, grey = statistics_of([plain]), statistics_of([plain.convert("L")])
        for name in ("fine_colour_red_green", "fine_colour_green_blue"):
            assert grey[name][0] == pytest.approx(np.log(2e-4), abs=1e-3)
            assert coloured[name][0] > grey[name][0] + 3


def id_(cell: Image.Image) -> Image.Image:
    return cell


class TestMeasure:
    def test_it_is_the_share_of_cells_that_are_less_unusual(self) -> None:
        usual = known(distances=np.array([1, 2, 3, 4, 6], np.float32))
        found = usual.unlike(np.array([0, 1, 2, 2.5, 5, 6, 1e9], np.float32))
        np.testing.assert_allclose(found, [0, 0, 0.25, 0.375, 0.875, 1, 1])

    def test_it_has_four_decimals(self) -> None:
        usual = known(distances=np.array([0, 3], np.float32))
        assert usual.unlike(np.array([1, 2], np.float32)).tolist() == [0.3333, 0.6667]

    @pytest.mark.parametrize("name", CHANGES)
    def test_a_changed_cell_is_more_unlike_than_it_was(self, name: str, usual: UsualCells) -> None:
        plain = drawn(20, seed=9)
        before = measured(usual, pixels_of(plain)).mean()
        after = measured(usual, pixels_of([CHANGES[name](cell) for cell in plain])).mean()
        assert after > before + 0.1

    def test_it_does_not_depend_on_the_place_in_the_batch(self, usual: UsualCells) -> None:
        crops = full_batch(tf.constant(pixels_of(drawn(40))), 64)
        distance = distance_from(usual, 64)
        ahead, behind = distance(crops).numpy(), distance(crops[::-1]).numpy()[::-1]
        np.testing.assert_array_equal(usual.unlike(ahead), usual.unlike(behind))
        np.testing.assert_array_equal(usual.unlike(ahead)[:40], measured(usual, crops.numpy()[:40]))


def known(**changes: Any) -> UsualCells:
    """Usual cells of 130 patients."""
    count = len(STATISTICS)
    plain = UsualCells(
        centre=np.zeros(count, np.float32),
        whitening=np.eye(count, dtype=np.float32),
        distances=np.linspace(0, 10, 11, dtype=np.float32),
        between=0.13,
        within=0.26,
        patients=130,
    )
    return replace(plain, **changes)


class TestLimit:
    def test_it_is_the_end_of_a_prediction_interval(self) -> None:
        # By hand: t(0.995, 129) = 2.6145, and sqrt(0.13^2 + 0.26^2 / 100) = 0.13258.
        expected = 0.5 + 2.6145 * np.sqrt(1 + 1 / 130) * 0.13258
        assert known().limit(100) == pytest.approx(expected, abs=1e-4)

    def test_it_comes_down_with_the_number_of_images(self) -> None:
        limits = [known().limit(images) for images in (1, 4, 10, 100, 10_000)]
        assert limits == sorted(limits, reverse=True)
        assert limits[0] == HIGHEST_LIMIT
        assert limits[-1] < 0.85

    def test_few_patients_or_unlike_ones_raise_it(self) -> None:
        assert known(patients=6).limit(100) > known(patients=30).limit(100) > known().limit(100)
        assert known(between=0.16).limit(100) > known().limit(100)

    def test_where_patients_are_not_known_it_is_the_highest(self) -> None:
        assert known(patients=0, between=float("inf")).limit(10_000) == HIGHEST_LIMIT

    def test_slides_of_fresh_patients_seldom_reach_it(self) -> None:
        rng = np.random.default_rng(4)
        means = rng.normal(0.5, np.sqrt(0.13**2 + 0.26**2 / 20), 20_000)
        assert 0.003 < (means >= known().limit(20)).mean() < 0.007


class TestLearning:
    def test_it_is_calibrated_on_the_cells_it_learns_from(
        self, usual: UsualCells, cells: Cells
    ) -> None:
        assert usual.patients == 12
        found = measured(usual, np.concatenate(list(cells.store.batches(np.arange(240), 240))))
        # Measured from other patients in the calibration, from all of them here.
        assert 0.3 < found.mean() < 0.5

    def test_each_patient_counts_alike_however_many_cells_they_have(self) -> None:
        plain, grainy = drawn(120), [noisy(cell) for cell in drawn(30, seed=2)]
        names = ["many"] * 120 + [f"few {number // 6}" for number in range(30)]
        usual = usual_cells([stored(pixels_of([*plain, *grainy]), names)])
        # One patient of six has plain cells: they are the least unusual sixth, not four fifths.
        assert measured(usual, pixels_of(drawn(40, seed=3))).mean() < 0.3

    def test_drawn_patients_that_it_has_not_met_are_not_warned_about(
        self, usual: UsualCells, tmp_path: Path
    ) -> None:
        draw_slides(tmp_path, {f"s{number:02}": (4, 16) for number in range(30)}, 77, size=40)
        images = [CellImage(str(path), "s", label=PARASITIZED) for path in tmp_path.rglob("*.png")]
        images.sort(key=lambda image: image.path)
        fresh = load_cells(images, COMPACT_PREPROCESSING)
        (pixels,) = fresh.store.batches(np.arange(600), 600)
        means = measured(usual, pixels).reshape(30, 20).mean(axis=1)
        assert (means >= usual.limit(20)).sum() <= 1

    def test_the_same_cells_give_the_same_bits_from_memory_and_anew(
        self, usual: UsualCells, labelled: Path
    ) -> None:
        streamed = load_cells(
            labelled_cells(DataSettings(labelled)).cells, COMPACT_PREPROCESSING, cache=Cache.NONE
        )
        again = usual_cells([streamed])
        for name, array in usual.arrays().items():
            np.testing.assert_array_equal(array, again.arrays()[name], err_msg=name)

    def test_without_patients_only_what_is_far_off_is_warned_about(self, cells: Cells) -> None:
        nobody = replace(cells, images=[replace(image, patient=None) for image in cells.images])
        usual = usual_cells([nobody])
        assert (usual.patients, usual.limit(1000)) == (0, HIGHEST_LIMIT)
        far_off = pixels_of([cat(cell) for cell in drawn(20)])
        assert measured(usual, far_off).mean() >= HIGHEST_LIMIT

    def test_a_handful_of_equal_cells_is_enough_to_go_on(self) -> None:
        black = np.zeros([4, 64, 64, 3], np.uint8)
        usual = usual_cells([stored(black, ["a", "a", "b", "b"])])
        assert np.isfinite(usual.whitening).all()
        assert measured(usual, pixels_of(drawn(3))).tolist() == [1, 1, 1]


def stored(pixels: Pixels, patients: list[str]) -> Cells:
    images = [CellImage(f"{i}.png", "s", patient=name) for i, name in enumerate(patients)]
    zeros = np.zeros(len(images))
    return Cells(StoredPixels(pixels), zeros.astype(int), zeros.astype(np.uint64), images, [])


@pytest.fixture(scope="module")
def folder(usual: UsualCells, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded network with the usual cells of drawn patients; do not change it."""
    path = tmp_path_factory.mktemp("models") / "knowing"
    return saved(path, usual)


def saved(path: Path, usual: UsualCells | None) -> Path:
    path.mkdir()
    model = load_model(EMBEDDED)
    kept = {key: model.metadata[key] for key in ("name", "network", "preprocessing")}
    described = {**kept, "threshold": model.threshold, "temperature": model.temperature}
    save_model(path, described, model.weights, model.error_rates, usual=usual)
    return path


class TestModelFolder:
    def test_what_is_usual_comes_back_to_the_bit(self, folder: Path, usual: UsualCells) -> None:
        found = load_model(folder).usual
        assert found is not None
        for name, array in usual.arrays().items():
            np.testing.assert_array_equal(found.arrays()[name], array, err_msg=name)

    def test_what_nobody_knows_of_patients_comes_back(self) -> None:
        unknown = known(patients=0, between=float("inf"))
        found = usual_cells_from(unknown.arrays())
        assert (found.patients, found.between) == (0, float("inf"))

    def test_an_older_model_has_none(self, tmp_path: Path) -> None:
        assert load_model(saved(tmp_path / "old", None)).usual is None

    def test_arrays_that_another_model_came_with_are_refused(
        self, usual: UsualCells, tmp_path: Path
    ) -> None:
        path = saved(tmp_path / "m", usual)
        raw = bytearray((path / UNLIKE).read_bytes())
        raw[-1] ^= 1
        (path / UNLIKE).write_bytes(raw)
        with pytest.raises(MalscanError, match=f"{UNLIKE} is not the file"):
            load_model(path)

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"centre": np.zeros(3, np.float32)}, id="other statistics"),
            pytest.param({"centre": np.full(16, np.nan, np.float32)}, id="not a number"),
            pytest.param({"whitening": np.zeros([16, 2], np.float32)}, id="another shape"),
            pytest.param({"distances": np.array([2, 1], np.float32)}, id="descending"),
            pytest.param({"distances": np.zeros([], np.float32)}, id="a single distance"),
            pytest.param({"distances": np.zeros([2, 2], np.float32)}, id="a table of distances"),
            pytest.param({"between": float("nan")}, id="no spread"),
            pytest.param({"within": -1.0}, id="negative spread"),
            pytest.param({"patients": -5}, id="negative patients"),
        ],
    )
    def test_arrays_that_cannot_be_are_refused(
        self, changes: dict[str, Any], tmp_path: Path
    ) -> None:
        path = saved(tmp_path / "m", known(**changes))
        with pytest.raises(MalscanError, match="not a malscan model"):
            load_model(path)

    def test_a_file_that_lacks_an_array_is_refused(self) -> None:
        arrays = known().arrays()
        del arrays["spread"]
        with pytest.raises(KeyError):
            usual_cells_from(arrays)


def row(slide: str, unlike: float | None, number: int = 0) -> Row:
    error = "truncated file" if unlike is None else None
    probability = None if unlike is None else 0.25
    image = CellImage(f"{slide}/{number}.png", slide)
    return row_of(Prediction(image, probability, error, unlike=unlike), 0.5)


def summary_of(rows: list[Row], usual: UsualCells | None) -> Summary:
    tally = Tally(0.5, 1)
    tally.add(rows)
    return tally.summary(None, usual)


class TestSummary:
    def test_a_slide_has_the_mean_of_its_readable_images(self) -> None:
        rows = [row("s", value, i) for i, value in enumerate([0.1, 0.2, None, 0.6])]
        (slide,) = summary_of(rows, known()).slides
        assert (slide.unlike, slide.unlike_warning) == (0.3, False)
        assert slide.unlike_limit == known().limit(3)

    def test_it_is_warned_about_from_its_limit_on(self) -> None:
        limit = known().limit(50)
        below = [row("below", round(limit - 0.0001, 4), i) for i in range(50)]
        at = [row("at", limit, i) for i in range(50)]
        found = summary_of([*below, *at], known())
        assert {s.slide: s.unlike_warning for s in found.slides} == {"below": False, "at": True}

    def test_the_total_says_whether_any_slide_is_warned_about(self) -> None:
        strange, plain = [[row(n, u, i) for i in range(50)] for n, u in (("a", 1.0), ("b", 0.4))]
        total = summary_of([*strange, *plain], known()).total
        assert (total.unlike, total.unlike_limit, total.unlike_warning) == (0.7, None, True)
        assert summary_of(plain, known()).total.unlike_warning is False

    def test_the_order_of_rows_does_not_matter_to_the_last_bit(self) -> None:
        rng = np.random.default_rng(6)
        rows = [row("s", round(float(u), 4), i) for i, u in enumerate(rng.random(999))]
        mixed = [rows[i] for i in rng.permutation(999)]
        assert summary_of(rows, known()) == summary_of(mixed, known())

    @pytest.mark.parametrize("usual", [None, known()], ids=["model knows none", "none readable"])
    def test_without_a_measure_there_is_no_warning(self, usual: UsualCells | None) -> None:
        found = summary_of([row("s", None)], usual)
        for slide in (*found.slides, found.total):
            assert (slide.unlike, slide.unlike_limit, slide.unlike_warning) == (None, None, None)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides of fresh drawn cells, and of the same changed; do not change them."""
    folder = tmp_path_factory.mktemp("drawn") / "slides"
    draw_slides(folder, {"plain": (6, 14)}, seed=21, size=40)
    for name, change in {"cats": cat, "noise": noisy}.items():
        (folder / name).mkdir()
        for path in (folder / "plain").iterdir():
            change(Image.open(path)).save(folder / name / path.name)
    (folder / "plain" / "broken.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture(scope="module")
def reports(folder: Path, scanned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `r.csv`, `r.json` and `r.summary.csv` of those slides."""
    out = tmp_path_factory.mktemp("reports")
    outs = (str(out / "r.csv"), str(out / "r.json"))
    scan(ScanSettings((str(scanned),), outs, model=folder))
    return out


class TestScan:
    def test_slides_of_strange_images_are_warned_about_by_name(
        self, cli: Cli, folder: Path, scanned: Path, tmp_path: Path
    ) -> None:
        result = cli("scan", scanned, "--model", folder, "--out", tmp_path / "r.csv")

        told = " ".join(result.err.split())
        assert "Warning: slide cats: its cells are unlike those the model was trained on" in told
        assert "Warning: slide noise: its cells are unlike" in told
        assert "Warning: slide plain: its cells are unlike" not in told

    def test_the_csv_holds_measure_and_warning(self, reports: Path) -> None:
        rows, slides = rows_of(reports / "r.csv"), rows_of(reports / "r.summary.csv")
        assert {len(one["unlike"]) for one in rows if one["status"] == "ok"} == {6}
        assert [one["unlike"] for one in rows if one["status"] == "failed"] == [""]
        warned = {one["slide"]: one["unlike_warning"] for one in slides}
        assert warned == {"cats": "yes", "noise": "yes", "plain": "no", "TOTAL": "yes"}
        for slide in slides[:-1]:
            own = [one for one in rows if one["slide"] == slide["slide"] and one["unlike"]]
            mean = np.mean([float(one["unlike"]) for one in own])
            assert float(slide["unlike"]) == pytest.approx(mean, abs=1e-4)

    def test_the_json_says_the_same_as_the_csv(self, reports: Path) -> None:
        found = json.loads((reports / "r.json").read_text())
        jsonschema.validate(found, json.loads(SCHEMA.read_text()))
        assert [image["unlike"] for image in found["images"]] == [
            float(one["unlike"]) if one["unlike"] else None for one in rows_of(reports / "r.csv")
        ]
        figures = [*found["slides"], found["summary"]]
        for figure, summed in zip(figures, rows_of(reports / "r.summary.csv"), strict=True):
            assert figure["unlike"] == float(summed["unlike"])
            assert figure["unlike_warning"] == (summed["unlike_warning"] == "yes")
        for slide in found["slides"]:
            assert slide["unlike_warning"] == (slide["unlike"] >= slide["unlike_limit"])

    def test_other_slides_of_a_scan_do_not_change_the_measure(
        self, folder: Path, scanned: Path, reports: Path, tmp_path: Path
    ) -> None:
        alone = tmp_path / "alone.csv"
        scan(ScanSettings((str(scanned / "plain"),), (str(alone),), model=folder))
        among = [one for one in rows_of(reports / "r.csv") if one["slide"] == "plain"]
        assert [one["unlike"] for one in rows_of(alone)] == [one["unlike"] for one in among]

    def test_a_model_that_does_not_know_leaves_the_column_empty_and_warns_of_nothing(
        self, cli: Cli, scanned: Path, tmp_path: Path
    ) -> None:
        model = saved(tmp_path / "old", None)
        outs = ("--out", tmp_path / "r.csv", "--out", tmp_path / "r.json")

        result = cli("scan", scanned, "--model", model, *outs)

        assert {one["unlike"] for one in rows_of(tmp_path / "r.csv")} == {""}
        for slide in rows_of(tmp_path / "r.summary.csv"):
            assert (slide["unlike"], slide["unlike_warning"]) == ("", "")
        jsonschema.validate(
            json.loads((tmp_path / "r.json").read_text()), json.loads(SCHEMA.read_text())
        )
        assert "unlike" not in result.err

    def test_many_strange_slides_do_not_flood_the_terminal(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = [row(f"slide-{slide:02}", 1.0, i) for slide in range(33) for i in range(5)]
        summary = summary_of(rows, known())
        result = ScanResult(
            summary=summary,
            counts=Counts(),
            model=load_model(EMBEDDED),
            threshold=0.5,
            uncertain=None,
            min_cells=1,
            skipped=0,
            notes=[],
            seconds=1.0,
            exit_code=ExitCode.OK,
        )

        print_scan(result, ["r.csv"], None)

        told = " ".join(capsys.readouterr().err.split())
        assert told.count("its cells are unlike") == 30
        assert "3 more slides of unlike cells" in told


def rows_of(report: Path) -> list[dict[str, str]]:
    with report.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_metadata_names_the_file_by_its_digest(folder: Path) -> None:
    assert len(json.loads((folder / METADATA).read_text())["unlike_sha256"]) == 64
