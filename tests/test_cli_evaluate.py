"""`malscan evaluate` as whoever has to vouch for a model uses it."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from conftest import Cli, Outcome, command, files_no_larger_than
from draw_cells import draw_labelled
from PIL import Image
from test_evaluate import SOUND, Oracle, renamed
from test_evaluation_folder import TOO_ODD, metrics_of, page_of, rows_of
from tiny_network import tiny_network

from malscan.atomic import locked
from malscan.cli import main
from malscan.evaluate import evaluate
from malscan.evaluation.result import Independence
from malscan.evaluation.settings import EvaluateSettings
from malscan.model import EMBEDDED
from malscan.networks import NETWORKS
from malscan.settings import DataSettings

FILES = [
    "confusion_matrix.png",
    "errors.png",
    "metrics.json",
    "patients.csv",
    "patients.png",
    "precision_recall.png",
    "predictions.csv",
    "reliability.png",
    "report.html",
    "roc.png",
]
EARLIER = '{"schema": "malscan.evaluation/1"}'
RESEARCH_USE = "Research use only"
CHROMIUM = Path("/usr/bin/chromium")


class Countdown:
    """Does something at the so-maniest call."""

    def __init__(self, calls: int, action: Callable[[], object]) -> None:
        self._left = calls
        self._action = action

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._action()


def run(*args: object) -> Outcome:
    """Run `malscan ARGS...` in this process, for what several tests look at."""
    with tempfile.TemporaryFile("w+") as file, pytest.MonkeyPatch.context() as patch:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        patch.setattr(sys, "argv", ["malscan", *map(str, args)])
        patch.setattr(sys, "stderr", file)
        try:
            with pytest.raises(SystemExit) as stopped:
                main()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return Outcome(int(stopped.value.code or 0), "", file.read())


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def left_in(folder: Path) -> list[str]:
    """What lies beside the outputs, hidden or not; locks are always left."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def names_below(cells: Path) -> list[Path]:
    return sorted(path.relative_to(cells) for path in cells.rglob("*.png"))


def patient_of(name: str | Path) -> str:
    return re.findall(r"C\d+", Path(name).name)[-1]


def links(source: Path, folder: Path, count: int) -> Path:
    """Many images of both classes that are one file."""
    for name in ("Parasitized", "Uninfected"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"C{number}_IMG_{number}.png").hardlink_to(source)
    return folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 drawn cells of 12 patients, 13 of them in the wrong class folder; do not change them.

    The embedded model calls every drawn cell right, which would leave nothing to look at.
    """
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    draw_labelled(folder, 12, 120, seed=5, size=60)
    for here, there, step in (("Parasitized", "Uninfected", 15), ("Uninfected", "Parasitized", 30)):
        for path in sorted((folder / here).iterdir())[2::step]:
            path.rename(folder / there / f"{path.stem}_moved.png")
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 small drawn cells of 6 patients, all called right; do not change them."""
    folder = tmp_path_factory.mktemp("drawn") / "few"
    draw_labelled(folder, 6, 12, seed=6, size=30)
    return folder


@pytest.fixture
def copied(few: Path, tmp_path: Path) -> Path:
    """The few drawn cells, to be changed."""
    shutil.copytree(few, tmp_path / "cells")
    return tmp_path / "cells"


@pytest.fixture
def oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Oracle:
    """Says of each image what it is told, in no time, in place of the model."""
    found = Oracle(tmp_path / "cells")
    monkeypatch.setattr("malscan.evaluate.Predictor", found.predictor)
    return found


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of the time and are looked at elsewhere."""
    monkeypatch.setattr("malscan.evaluation.folder.pictures", lambda _: {})


@pytest.fixture(scope="module")
def out(cells: Path) -> Path:
    return cells.parent / "check"


@pytest.fixture(scope="module")
def outcome(cells: Path, out: Path) -> Outcome:
    """The embedded model on the drawn cells, with all files; do not change them."""
    return run("evaluate", cells, "--out", out, "--prevalence", "0.02")


@pytest.mark.usefixtures("outcome")
class TestFolder:
    def test_it_holds_all_files_and_nothing_is_left_beside_it(
        self, outcome: Outcome, out: Path
    ) -> None:
        assert outcome.code == 0, outcome.err
        assert left_in(out) == FILES
        assert left_in(out.parent) == ["cells", "check"]

    def test_the_figures_are_those_of_the_table_of_predictions(self, out: Path) -> None:
        table = pd.read_csv(out / "predictions.csv")
        found = metrics_of(out)
        positive = table["label"] == "parasitized"
        called = table["probability"] >= found["model"]["threshold"]
        sensitivity, specificity = (
            sk.recall_score(positive, called, pos_label=label) for label in (True, False)
        )
        infected, healthy = 0.02 * sensitivity, 0.98 * specificity
        expected = {
            "accuracy": sk.accuracy_score(positive, called),
            "balanced_accuracy": sk.balanced_accuracy_score(positive, called),
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": sk.precision_score(positive, called),
            "npv": sk.precision_score(positive, called, pos_label=False),
            "ppv_at_prevalence": infected / (infected + 0.98 - healthy),
            "npv_at_prevalence": healthy / (healthy + 0.02 - infected),
            "f1": sk.f1_score(positive, called),
            "mcc": sk.matthews_corrcoef(positive, called),
            "roc_auc": sk.roc_auc_score(positive, table["probability"]),
            "average_precision": sk.average_precision_score(positive, table["probability"]),
            "brier_score": sk.brier_score_loss(positive, table["probability"]),
        }
        values = {name: figure["value"] for name, figure in found["figures"].items()}
        del values["expected_calibration_error"]
        assert values == pytest.approx(expected)
        tn, fp, fn, tp = (int(n) for n in sk.confusion_matrix(positive, called).ravel())
        assert found["confusion"] == {
            "true_positive": tp,
            "false_negative": fn,
            "false_positive": fp,
            "true_negative": tn,
        }
        assert fn > 2 and fp > 2

    def test_values_lie_in_their_intervals_and_the_data_are_counted(self, out: Path) -> None:
        found = metrics_of(out)
        for name, figure in {**found["figures"], **found["patient_figures"]}.items():
            if name != "expected_calibration_error":
                assert 0 <= figure["low"] < figure["value"] < figure["high"] <= 1, name
        data = found["data"]
        assert (data["images"], data["evaluated"], data["patients"]) == (240, 240, 12)
        assert (found["independence"], found["seen_patients"]) == ("checked", [])
        floor = found["false_positive_floor"]["percent"]["value"]
        assert floor == pytest.approx(100 * (1 - found["figures"]["specificity"]["value"]))

    def test_the_predictions_are_those_of_a_scan(
        self, cli: Cli, cells: Path, out: Path, tmp_path: Path
    ) -> None:
        assert cli("scan", cells, "--out", tmp_path / "r.csv").code == 0
        scanned = sorted(rows_of(tmp_path / "r.csv"), key=lambda row: row["path"])
        rows = rows_of(out / "predictions.csv")
        known = ("label", "patient", "correct", "evaluated")
        assert list(rows[0]) == [*scanned[0], *known]
        assert [{k: v for k, v in row.items() if k not in known} for row in rows] == scanned
        for row in rows:
            assert row["patient"] == patient_of(row["path"])
            assert row["label"] == Path(row["path"]).parent.name.lower()
            assert row["correct"] == ("no" if "moved" in row["path"] else "yes")

    def test_the_worst_patients_come_first(self, out: Path) -> None:
        patients = pd.read_csv(out / "patients.csv")
        wrong = patients["missed"] + patients["false_alarms"]
        share = wrong / (patients["parasitized"] + patients["uninfected"])
        assert list(share) == sorted(share, reverse=True)
        assert (len(patients), wrong.sum()) == (12, 13)
        table = pd.read_csv(out / "predictions.csv")
        sick = table[table["label"] == "parasitized"]
        expected = (sick["correct"] == "yes").groupby(sick["patient"]).mean()
        known = patients.set_index("patient")["sensitivity"].dropna()
        assert known.to_dict() == pytest.approx(expected.to_dict(), abs=1e-6)

    def test_the_pictures_open_and_are_not_blank(self, out: Path) -> None:
        for path in sorted(out.glob("*.png")):
            with Image.open(path) as image:
                assert image.format == "PNG"
                assert np.asarray(image.convert("L")).std() > 5, path

    def test_the_page_holds_it_all_and_needs_no_network(self, out: Path) -> None:
        page = page_of(out)
        assert sum(tag == "img" for tag, _ in page.elements) == 6
        accuracy = metrics_of(out)["figures"]["accuracy"]
        assert f"{accuracy['value']:.4f}" in page.text
        assert f"{accuracy['low']:.4f} to {accuracy['high']:.4f}" in page.text

    def test_people_read_the_figures_on_the_terminal(self, outcome: Outcome, out: Path) -> None:
        accuracy = metrics_of(out)["figures"]["accuracy"]
        lines = [line.split() for line in outcome.err.splitlines()]
        low, high = f"{accuracy['low']:.4f}", f"{accuracy['high']:.4f}"
        assert ["accuracy", f"{accuracy['value']:.4f}", low, "to", high] in lines
        assert "240 cells of 12 patients" in outcome.err
        assert "PPV at prevalence 2 %" in outcome.err
        worst = rows_of(out / "patients.csv")[0]["patient"]
        assert any(line[:1] == [worst] for line in lines)
        assert "False-positive floor" in outcome.err
        assert "No patient of whom the model has seen an image" in outcome.err
        assert f"Wrote {out}" in outcome.err
        assert outcome.err.count(RESEARCH_USE) == 1

    @pytest.mark.usefixtures("no_pictures")
    def test_the_same_command_gives_the_same_bytes(
        self, outcome: Outcome, cells: Path, out: Path, tmp_path: Path
    ) -> None:
        out.rename(tmp_path / "first")
        try:
            again = run("evaluate", cells, "--out", out, "--prevalence", "0.02")
            for name in ("metrics.json", "predictions.csv", "patients.csv"):
                assert (out / name).read_bytes() == (tmp_path / "first" / name).read_bytes()
            assert again == outcome
        finally:
            shutil.rmtree(out, ignore_errors=True)
            (tmp_path / "first").rename(out)


class TestGates:
    def test_passed_ones_leave_nothing_to_say(self, cli: Cli, oracle: Oracle) -> None:
        oracle.lay_out(SOUND)
        gates = ("--min-accuracy", 0.875, "--min-sensitivity", 0.8, "--min-auc", 0)
        result = cli("evaluate", oracle.folder, *gates, "--quiet")
        assert (result.code, result.out, result.err) == (0, "", "")

    def test_what_is_missed_is_told_with_its_shortfall_even_where_all_else_is_quiet(
        self, cli: Cli, oracle: Oracle
    ) -> None:
        oracle.lay_out({**SOUND, "Uninfected/C2P1_IMG_2.png": 0.8})
        limits = {"accuracy": 0.9, "sensitivity": 0.5, "specificity": 0.95, "auc": 0.99}
        gates = [arg for name, limit in limits.items() for arg in (f"--min-{name}", limit)]

        result = cli("evaluate", oracle.folder, *gates, "--quiet")

        assert result.code == 4
        assert result.err.splitlines()[:2] == [
            "Gate missed: accuracy 0.8125 is 0.0875 below the least of 0.9",
            "Gate missed: specificity 0.7500 is 0.2 below the least of 0.95",
        ]
        assert result.err.splitlines()[2].startswith("Gate missed: ROC AUC 0.7")
        assert len(result.err.splitlines()) == 3

    @pytest.mark.usefixtures("no_pictures")
    def test_they_can_look_at_the_lower_end_and_outweigh_unreadable_images(
        self, cli: Cli, oracle: Oracle, tmp_path: Path
    ) -> None:
        oracle.lay_out({**SOUND, "Uninfected/C4P1_IMG_9.png": None})
        evaluation = ("evaluate", oracle.folder, "--min-specificity", 0.8, "--allow-failed")

        on_point = cli(*evaluation)
        on_lower = cli(*evaluation, "--gate-on", "lower", "--out", tmp_path / "out")

        assert (on_point.code, on_lower.code) == (3, 4)
        assert "Gate missed" not in on_point.err
        found = metrics_of(tmp_path / "out")
        (gate,) = found["gates"]
        assert (found["gate_on"], gate["met"]) == ("lower", False)
        assert gate["value"] == found["figures"]["specificity"]["low"] < 0.8
        assert f"the lower end of specificity {gate['value']:.4f}" in on_lower.err
        assert "MISSED" in page_of(tmp_path / "out").text


class TestUnreadable:
    @pytest.fixture(scope="class")
    @classmethod
    def hostile(cls, few: Path) -> Path:
        """A truncated image below a copy of the cells, whose name is a script."""
        path = few.parent / "hostile/Uninfected" / f"{TOO_ODD}.png"
        shutil.copytree(few, few.parent / "hostile")
        path.parent.mkdir(parents=True)
        shutil.copy(next((few / "Uninfected").iterdir()), path)
        truncate(path)
        return path

    @pytest.fixture(scope="class")
    @classmethod
    def reported(cls, few: Path, hostile: Path) -> Outcome:
        return run("evaluate", few.parent / "hostile", "--out", few.parent / "reported")

    def test_they_are_listed_and_counted_and_exit_3(
        self, reported: Outcome, few: Path, hostile: Path
    ) -> None:
        assert reported.code == 3
        assert "Warning: 1 images could not be read" in reported.err
        assert f"{hostile}: " in reported.err
        found = metrics_of(few.parent / "reported")
        assert (found["data"]["images"], found["data"]["failed"]) == (25, 1)
        assert [(one["path"], "truncated" in one["error"]) for one in found["failed"]] == [
            (str(hostile), True)
        ]
        page = page_of(few.parent / "reported")
        assert "1 images could not be read" in page.text
        assert str(hostile) in page.text

    @pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser here: {CHROMIUM} is missing")
    def test_a_browser_shows_their_names_and_runs_none(
        self, reported: Outcome, few: Path, tmp_path: Path
    ) -> None:
        assert reported.code == 3
        page = (few.parent / "reported/report.html").as_uri()
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}")
        done = subprocess.run(
            [CHROMIUM, *options, "--dump-dom", page],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        assert "<title>Evaluation of compact</title>" in done.stdout
        assert "owned" in done.stdout
        assert "<script" not in done.stdout

    def test_more_than_one_in_twenty_stop_it_unless_allowed(
        self, cli: Cli, oracle: Oracle, tmp_path: Path
    ) -> None:
        oracle.lay_out({**SOUND, "Uninfected/C4P1_IMG_9.png": None})
        refused = cli("evaluate", oracle.folder, "--out", tmp_path / "out")
        assert refused.code == 1
        assert "1 of 17 images cannot be read, more than 5%" in refused.err
        assert "--allow-failed" in refused.err
        assert left_in(tmp_path) == ["cells"]
        allowed = cli("evaluate", oracle.folder, "--allow-failed")
        assert allowed.code == 3
        assert f"{oracle.folder}/Uninfected/C4P1_IMG_9.png: truncated file" in allowed.err


@pytest.mark.parametrize(
    ("kept", "undefined"), [("Uninfected", "sensitivity"), ("Parasitized", "specificity")]
)
def test_one_class_alone_gives_what_it_defines(
    kept: str, undefined: str, cli: Cli, oracle: Oracle, tmp_path: Path
) -> None:
    oracle.lay_out({name: p for name, p in SOUND.items() if kept in name})

    result = cli("evaluate", oracle.folder, "--out", tmp_path / "out", "--min-auc", 0)

    assert result.code == 4
    assert result.err.splitlines()[-1] == "Gate missed: ROC AUC is not defined for these cells"
    lines = [line.split() for line in result.err.splitlines()]
    for name in (undefined, "MCC", "F1"):
        assert [*name.split(), "not", "defined"] in lines
    missing = {"roc.png", "precision_recall.png"}
    if kept == "Uninfected":
        missing.add("patients.png")
    assert set(FILES) - set(left_in(tmp_path / "out")) == missing
    found = metrics_of(tmp_path / "out")
    assert found["figures"]["accuracy"]["value"] == 7 / 8
    assert found["figures"]["roc_auc"]["value"] is None
    page_of(tmp_path / "out")


@pytest.fixture(scope="module")
def model(cells: Path) -> Iterator[Path]:
    """Trained for an epoch on some cells of patients C1 to C6; do not change it."""
    theirs, out = cells.parent / "theirs", cells.parent / "trained"
    for name in names_below(cells)[::2]:
        if patient_of(name) in {f"C{i}" for i in range(1, 7)}:
            (theirs / name).parent.mkdir(parents=True, exist_ok=True)
            (theirs / name).symlink_to(cells / name)
    shares = ("--test-share", "0.34", "--validation-share", "0.2")
    quick = ("--epochs", 1, "--network", "swift", "--augment", "none", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "swift", tiny_network("swift"))
        result = run("train", theirs, "--out", out, *shares, *quick)
        assert result.code == 0, result.err
        yield out


@pytest.fixture(scope="module")
def seen(model: Path) -> set[str]:
    """Patients whom that model was trained and validated on."""
    split = json.loads((model / "model.json").read_text())["split"]
    seen = {*split["train"]["patients"], *split["validation"]["patients"]}
    assert 0 < len(seen) < 6
    return seen


@pytest.mark.usefixtures("no_pictures")
class TestSeenPatients:
    """A model that was trained on some of the patients."""

    def test_exactly_they_are_set_aside_and_two_models_are_compared_on_the_others(
        self, cli: Cli, cells: Path, model: Path, seen: set[str], tmp_path: Path
    ) -> None:
        result = cli(
            "evaluate", cells, "--model", EMBEDDED, "--compare", model, "--out", tmp_path / "out"
        )

        assert result.code == 0, result.err
        found = metrics_of(tmp_path / "out")
        assert set(found["seen_patients"]) == seen
        aside = sum(patient_of(name) in seen for name in names_below(cells))
        assert (found["data"]["evaluated"], found["data"]["set_aside_as_seen"]) == (
            240 - aside,
            aside,
        )
        assert found["independence"] == "checked"
        assert f"Set aside {aside} cells of {len(seen)} patients" in result.err
        assert "minus trained" in result.err
        table = pd.read_csv(tmp_path / "out/predictions.csv")
        kept = table["evaluated"] == "yes"
        assert set(table[~kept]["evaluated"]) == {"no: seen by the model"}
        assert set(table[~kept]["patient"]) == seen
        self.check_comparison(tmp_path / "out", table[kept])

    def check_comparison(self, out: Path, evaluated: pd.DataFrame) -> None:
        differing = pd.read_csv(out / "disagreements.csv")
        found = metrics_of(out)
        comparison = found["comparison"]
        assert comparison["disagreements"] == len(differing) > 0
        assert set(differing["path"]) <= set(evaluated["path"])
        calls = [differing[name] >= 0.5 for name in ("compact", "trained")]
        assert (calls[0] != calls[1]).all()
        # Where they agree the second model has the calls of the first: so many are right.
        first = evaluated.set_index("path")["call"] == evaluated.set_index("path")["label"]
        second = first.copy()
        second[differing["path"]] = ~second[differing["path"]]
        assert comparison["figures"]["accuracy"]["value"] == pytest.approx(second.mean())
        difference = comparison["differences"]["accuracy"]
        assert difference["value"] == pytest.approx(first.mean() - second.mean())
        assert difference["low"] < difference["value"] < difference["high"]

    def test_its_training_data_alone_are_refused_unless_allowed_and_marked(
        self, cli: Cli, cells: Path, model: Path, seen: set[str], tmp_path: Path
    ) -> None:
        for name in names_below(cells)[::3]:
            if patient_of(name) in seen:
                # Another name, as after a laboratory has sorted its files anew.
                copy = tmp_path / "own" / name.parent / f"C900_IMG_{name.name}"
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(cells / name, copy)
        options = ("--model", model, "--out", tmp_path / "out", "--batch-size", 32)

        refused = cli("evaluate", tmp_path / "own", *options)
        allowed = cli("evaluate", tmp_path / "own", *options, "--allow-seen")

        assert (refused.code, allowed.code) == (1, 0)
        assert "the model has seen images of every patient here (C900)" in refused.err
        assert "--allow-seen" in refused.err
        assert allowed.err.count("NOT INDEPENDENT") >= 2
        found = metrics_of(tmp_path / "out")
        assert (found["independence"], found["seen_patients"]) == ("not independent", ["C900"])
        assert found["data"]["set_aside_as_seen"] == 0
        assert page_of(tmp_path / "out").text.count("NOT INDEPENDENT") >= 3


@pytest.mark.usefixtures("no_pictures")
class TestData:
    def test_unknown_patients_get_wilsons_intervals(
        self, cli: Cli, oracle: Oracle, tmp_path: Path
    ) -> None:
        folders = ("Parasitized", "Uninfected")
        oracle.lay_out(
            {
                f"{folder}/{i}.png": 0.9 * (folder == "Parasitized")
                for folder in folders
                for i in range(12)
            }
        )

        result = cli("evaluate", oracle.folder, "--out", tmp_path / "out")

        assert result.code == 0, result.err
        assert "over single cells" in result.err
        # 12 of 12: by Wilson 1 / (1 + z^2 / n) is the lower end.
        figure = json.loads((tmp_path / "out/metrics.json").read_text())["figures"]["sensitivity"]
        assert figure["low"] == pytest.approx(1 / (1 + 1.959964**2 / 12), abs=1e-5)
        assert "patients.csv" not in left_in(tmp_path / "out")

    def test_a_table_with_labels_of_its_own_and_copies_of_images(
        self, cli: Cli, copied: Path, tmp_path: Path
    ) -> None:
        sick, healthy = (
            sorted((copied / name).iterdir()) for name in ("Parasitized", "Uninfected")
        )
        shutil.copy(sick[0], copied / "both.png")
        shutil.copy(healthy[0], copied / "again.png")
        rows = [f"{path},krank,p{i % 3}" for i, path in enumerate(sick)]
        rows += [f"{path},gesund,p{i % 4}" for i, path in enumerate(healthy)]
        rows += [f"{copied}/both.png,gesund,p0", f"{copied}/again.png,gesund,p1"]
        table = tmp_path / "table.csv"
        table.write_text("\n".join(["path,label,patient", *rows]) + "\n")

        result = cli("evaluate", table, "--positive", "krank", "--out", tmp_path / "out")

        assert result.code == 0, result.err
        assert f"the same pixels in both classes: {sick[0]} = {copied}/both.png" in result.err
        assert "1 images repeat the pixels of others" in result.err
        found = metrics_of(tmp_path / "out")
        assert found["contradictory"] == [[str(sick[0]), f"{copied}/both.png"]]
        assert (found["data"]["repeated"], found["data"]["patients"]) == (1, 4)
        assert found["figures"]["specificity"]["value"] == pytest.approx(13 / 14)

    @pytest.mark.parametrize("patient", ["[/bold] x", "[red]x", "a [link=y]"])
    def test_the_name_of_a_patient_is_text_and_no_markup(
        self, patient: str, cli: Cli, oracle: Oracle, tmp_path: Path
    ) -> None:
        oracle.lay_out(SOUND)
        rows = [f"cells/{name},{name.split('/')[0]},{patient}" for name in SOUND]
        (tmp_path / "table.csv").write_text("\n".join(["path,label,patient", *rows]))
        result = cli("evaluate", tmp_path / "table.csv")
        assert result.code == 0, result.err
        assert patient in result.err

    @pytest.mark.parametrize("option", ["--model", "--compare"])
    def test_a_model_name_is_text_and_no_markup(
        self, option: str, cli: Cli, oracle: Oracle, tmp_path: Path
    ) -> None:
        oracle.lay_out(SOUND)
        model = renamed(tmp_path, "m", lambda facts: facts.update(name="lab [/x] [v2]"))
        result = cli("evaluate", oracle.folder, option, model)
        assert result.code == 0, result.err
        said = {"--model": "Model lab [/x] [v2]", "--compare": "minus lab [/x] [v2]"}
        assert said[option] in result.err

    def test_the_name_of_a_folder_is_no_picture(
        self, cli: Cli, oracle: Oracle, tmp_path: Path
    ) -> None:
        oracle.lay_out(SOUND)
        result = cli("evaluate", oracle.folder, "--out", tmp_path / "a:bug:b")
        assert f"Wrote {tmp_path}/a:bug:b" in result.err

    def test_names_that_are_no_utf_8_do_not_spoil_it(
        self, cli: Cli, oracle: Oracle, tmp_path: Path
    ) -> None:
        oracle.folder = tmp_path / "caf\udce9"
        oracle.lay_out(SOUND)
        result = cli("evaluate", oracle.folder, "--out", tmp_path / "out")
        assert result.code == 0, result.err
        assert metrics_of(tmp_path / "out")["data"]["images"] == 16


class TestOut:
    @pytest.fixture
    def earlier(self, tmp_path: Path) -> Path:
        """What an earlier evaluation left, as far as it matters."""
        (tmp_path / "out").mkdir()
        (tmp_path / "out/metrics.json").write_text(EARLIER)
        return tmp_path / "out"

    def test_a_file_is_a_usage_error(self, cli: Cli, few: Path, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("precious")
        result = cli("evaluate", few, "--out", tmp_path / "out")
        assert result.code == 2
        assert "is a file. Name a folder" in result.err
        assert (tmp_path / "out").read_text() == "precious"

    @pytest.mark.parametrize(
        ("name", "content"), [("thesis.tex", "precious"), ("metrics.json", '{"accuracy": 0.9}')]
    )
    def test_a_folder_with_other_things_is_left_alone(
        self, name: str, content: str, cli: Cli, few: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / name).write_text(content)
        result = cli("evaluate", few, "--out", tmp_path / "out")
        assert result.code == 1
        assert "holds other things than an evaluation" in result.err
        assert (tmp_path / "out" / name).read_text() == content
        assert left_in(tmp_path / "out") == [name]

    def test_an_earlier_evaluation_that_holds_the_data_is_left_alone(
        self, cli: Cli, few: Path, earlier: Path
    ) -> None:
        shutil.copytree(few, earlier / "cells")
        result = cli("evaluate", earlier / "cells", "--out", earlier)
        assert result.code == 1
        assert f"{earlier} holds {earlier / 'cells'}, and would be replaced" in result.err
        assert left_in(earlier) == ["cells", "metrics.json"]

    def test_a_folder_that_nobody_has_made_is_told(
        self, cli: Cli, few: Path, tmp_path: Path
    ) -> None:
        result = cli("evaluate", few, "--out", tmp_path / "missing/out")
        assert result.code == 1
        assert "no such folder" in result.err

    @pytest.mark.fault("two runs for the same report at once")
    def test_a_second_run_for_the_same_folder_exits_75(
        self, cli: Cli, few: Path, earlier: Path
    ) -> None:
        with locked([earlier]):
            result = cli("evaluate", few, "--out", earlier)
        assert result.code == 75
        assert "another run" in result.err
        assert (earlier / "metrics.json").read_text() == EARLIER

    def test_an_earlier_evaluation_is_replaced(
        self, cli: Cli, oracle: Oracle, earlier: Path, no_pictures: None
    ) -> None:
        (earlier / "old.png").touch()
        oracle.lay_out(SOUND)
        assert cli("evaluate", oracle.folder, "--out", earlier).code == 0
        assert metrics_of(earlier)["data"]["images"] == 16
        assert "old.png" not in left_in(earlier)
        assert left_in(earlier.parent) == ["cells", "out"]

    @pytest.mark.fault("a full disk")
    def test_a_full_disk_is_told_and_leaves_the_earlier_evaluation(
        self, cli: Cli, oracle: Oracle, earlier: Path
    ) -> None:
        oracle.lay_out(SOUND)
        with files_no_larger_than(8192):
            result = cli("evaluate", oracle.folder, "--out", earlier, "--quiet")
        assert result.code == 1
        assert f"cannot write {earlier}: File too large" in result.err
        assert len(result.err.splitlines()) == 1
        assert (earlier / "metrics.json").read_text() == EARLIER
        assert left_in(earlier.parent) == ["cells", "out"]

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_ends_it_and_leaves_the_earlier_evaluation(
        self, number: signal.Signals, code: int, cli: Cli, oracle: Oracle, earlier: Path
    ) -> None:
        oracle.lay_out(SOUND)
        oracle.on_image = Countdown(5, lambda: os.kill(os.getpid(), number))
        result = cli("evaluate", oracle.folder, "--out", earlier)
        assert result.code == code
        assert result.err.splitlines()[-1] in {"malscan: interrupted", "malscan: terminated"}
        assert (earlier / "metrics.json").read_text() == EARLIER
        assert left_in(earlier.parent) == ["cells", "out"]


@pytest.mark.slow
class TestProcesses:
    """What ends a process ends it, TensorFlow's threads and all."""

    def test_sigterm(self, few: Path, tmp_path: Path) -> None:
        cells = links(next((few / "Uninfected").iterdir()), tmp_path / "cells", 3000)
        args = command("evaluate", cells, "--out", tmp_path / "out", "--batch-size", 16)
        with subprocess.Popen(args, stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + 120
            while not (tmp_path / ".out.lock").exists():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=120)
        assert process.returncode == 143
        assert err.splitlines()[-1] == b"malscan: terminated"
        assert left_in(tmp_path) == ["cells"]

    @pytest.mark.fault("a full disk")
    def test_a_full_disk(self, few: Path, tmp_path: Path) -> None:
        done = subprocess.run(
            command("evaluate", few, "--out", tmp_path / "out", "--quiet"),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
        )
        assert done.returncode == 1
        assert f"cannot write {tmp_path}/out: File too large" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nowhere"], 2, "nowhere"),
        ([], 2, "DATA"),
        (["cells", "--model", "nowhere"], 2, "no such model: nowhere"),
        (["cells", "--compare", "nowhere"], 2, "no such model: nowhere"),
        (["cells", "--model", "cells"], 1, "not a malscan model: cells"),
        (["cells", "--compare", "cells"], 1, "not a malscan model: cells"),
        (["cells", "--min-accuracy", "97"], 2, "--min-accuracy"),
        (["cells", "--threshold", "7"], 2, "--threshold 7 is not between 0 and 1"),
        (["cells", "--prevalence", "2"], 2, "--prevalence 2 is not between 0 and 1"),
        (["cells", "--gate-on", "upper"], 2, "--gate-on"),
        (["cells", "--positive", "sick"], 1, "--positive sick needs two folders in cells"),
        (["empty"], 1, "no parasitized and no uninfected cells in empty"),
        (["table.csv"], 1, "line 3: the label 'odd' is not known"),
    ],
)
def test_bad_input_gets_one_clear_line_and_no_files(
    args: list[str],
    code: int,
    message: str,
    cli: Cli,
    few: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "cells").symlink_to(few)
    (tmp_path / "table.csv").write_text("path,label\na.png,infected\nb.png,odd\n")
    monkeypatch.chdir(tmp_path)

    result = cli("evaluate", *args, "--out", "out")

    assert result.code == code
    assert message in result.err
    assert "Traceback" not in result.err
    assert left_in(tmp_path) == ["cells", "empty", "table.csv"]


@pytest.mark.slow
@pytest.mark.real_data
def test_the_real_test_patients_give_the_figures_of_the_card(real_test_cells: Path) -> None:
    result = evaluate(EvaluateSettings(DataSettings(real_test_cells), model=EMBEDDED))

    assert (result.set_aside, result.seen_patients, result.failed) == ([], [], [])
    assert (result.independence, len(result.patients)) == (Independence.CHECKED, 30)
    for name, figure in result.model.metadata["figures"].items():
        assert result.figures[name].value == pytest.approx(figure["value"], abs=1e-4), name
