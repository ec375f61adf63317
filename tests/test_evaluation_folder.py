"""The folder of an evaluation: what stands in its files and on its page."""

import csv
import json
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
from scipy.stats import binomtest
from test_evaluate import SOUND, Probabilities, evaluated, renamed

from malscan.errors import MalscanError
from malscan.evaluation.folder import check_target, false_positive_floor, metrics
from malscan.evaluation.html import LISTED
from malscan.evaluation.settings import EvaluateSettings, Gates
from malscan.metrics import Figure
from malscan.model import EMBEDDED
from malscan.settings import DataSettings

SCHEMA = json.loads(
    (files("malscan") / "schemas/evaluation-1.schema.json").read_text(encoding="utf-8")
)
TOO_ODD = "<script>document.title='owned'</script>"
PNG = "data:image/png;base64,"


class Page(HTMLParser):
    """What a browser makes of a page: elements with attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def check_offline(self) -> None:
        """Make sure that nothing but the page itself is ever asked for, and nothing runs."""
        for tag, attributes in self.elements:
            assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
            for name, value in attributes.items():
                assert not name.startswith("on")
                if name in {"src", "href", "srcset", "data", "action"}:
                    assert (value or "").startswith(PNG)


def write(folder: Path, said: Probabilities, *others: Probabilities, **settings: Any) -> Path:
    """The folder of an evaluation of some cells, without pictures, which take time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("malscan.evaluation.folder.pictures", lambda _: {})
        evaluated(folder / "cells", said, *others, out=folder / "out", **settings)
    return folder / "out"


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def metrics_of(out: Path) -> dict[str, Any]:
    """The content of `metrics.json`, after holding it against its schema."""
    found: dict[str, Any] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, SCHEMA)
    return found


def page_of(out: Path) -> Page:
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    page.check_offline()
    return page


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evaluation of 16 cells of which two are called wrong; do not change it."""
    folder = tmp_path_factory.mktemp("sound")
    out = folder / "out"
    evaluated(folder / "cells", SOUND, out=out, prevalence=0.02, command="malscan evaluate cells")
    return out


class TestTarget:
    def test_none_an_empty_folder_or_an_earlier_evaluation_will_do(self, tmp_path: Path) -> None:
        check_target(tmp_path / "none")
        check_target(tmp_path)
        (tmp_path / "metrics.json").write_text('{"schema": "malscan.evaluation/1"}')
        (tmp_path / "notes.txt").touch()
        check_target(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"schema": 1}'])
    def test_metrics_that_malscan_did_not_write_are_refused(
        self, content: bytes, tmp_path: Path
    ) -> None:
        (tmp_path / "metrics.json").write_bytes(content)
        with pytest.raises(MalscanError, match="holds other things"):
            check_target(tmp_path)

    def test_a_folder_with_other_things_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").touch()
        with pytest.raises(MalscanError, match=r"holds other things.*Name another folder"):
            check_target(tmp_path)


class TestFloor:
    def test_a_specificity_of_97_percent_makes_a_healthy_slide_look_3_percent_infected(
        self,
    ) -> None:
        floor = false_positive_floor(Figure(0.97, 0.95, 0.98))
        assert floor["percent"] == pytest.approx({"value": 3, "low": 2, "high": 5})
        assert floor["per_microlitre"] == pytest.approx(
            {"value": 150_000, "low": 100_000, "high": 250_000}
        )

    def test_without_uninfected_cells_it_is_not_defined(self) -> None:
        floor = false_positive_floor(Figure(None, None, None))
        for unit in floor.values():
            assert unit == {"value": None, "low": None, "high": None}


class TestMetrics:
    def test_it_holds_what_the_schema_says(self, sound: Path) -> None:
        found = metrics_of(sound)
        assert found["data"] == {
            "images": 16,
            "evaluated": 16,
            "parasitized": 8,
            "uninfected": 8,
            "patients": 8,
            "failed": 0,
            "set_aside_as_seen": 0,
            "repeated": 0,
        }
        assert found["confusion"] == {
            "true_positive": 7,
            "false_negative": 1,
            "false_positive": 1,
            "true_negative": 7,
        }
        assert (found["prevalence"], found["command"]) == (0.02, "malscan evaluate cells")
        assert found["false_positive_floor"]["percent"]["value"] == pytest.approx(12.5)
        assert (found["comparison"], found["gates"], found["failed"]) == (None, [], [])
        assert "patients" in found["interval"]

    @pytest.mark.parametrize("key", ["figures", "confusion", "independence", "gates"])
    def test_the_schema_is_not_content_with_less_or_more(self, key: str, sound: Path) -> None:
        found = metrics_of(sound)
        less = {name: value for name, value in found.items() if name != key}
        for wrong in (less, {**found, f"{key}_2": 1}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(wrong, SCHEMA)

    def test_the_schema_itself_is_sound(self) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_unknown_patients_leave_none_and_the_intervals_say_so(self, tmp_path: Path) -> None:
        names: Probabilities = {"Parasitized/a.png": 0.9, "Uninfected/b.png": 0.1}
        out = write(tmp_path, names)
        found = metrics_of(out)
        assert (found["data"]["patients"], found["patient_figures"]) == (None, {})
        assert "Wilson" in found["interval"]
        assert not (out / "patients.csv").exists()

    @pytest.mark.parametrize("folder", ["Parasitized", "Uninfected"])
    def test_one_class_leaves_what_is_defined(self, folder: str, tmp_path: Path) -> None:
        out = write(tmp_path, {name: p for name, p in SOUND.items() if folder in name})
        found = metrics_of(out)
        assert found["figures"]["roc_auc"] == {"value": None, "low": None, "high": None}
        assert found["figures"]["accuracy"]["value"] == 7 / 8
        known = found["false_positive_floor"]["percent"]["value"]
        assert known == (pytest.approx(12.5) if folder == "Uninfected" else None)
        assert page_of(out).text.count("not defined") == 7

    def test_gates_failures_copies_and_names_stand_there(self, tmp_path: Path) -> None:
        said = {**SOUND, "Uninfected/=C9P1_IMG_1\udce9.png": None}
        result = evaluated(
            tmp_path / "cells",
            said,
            hashes={"Parasitized/C1P1_IMG_1.png": 5, "Uninfected/C1P1_IMG_2.png": 5},
            allow_failed=True,
        )
        gates = Gates(accuracy=0.9)
        settings = EvaluateSettings(DataSettings(tmp_path), gates=gates)
        found = metrics(settings, result)
        jsonschema.validate(found, SCHEMA)
        (failed,) = found["failed"]
        assert failed["path"].endswith("Uninfected/=C9P1_IMG_1\\xe9.png")
        assert failed["error"] == "truncated file"
        assert [len(group) for group in found["contradictory"]] == [2]


class TestPredictions:
    def test_they_have_the_columns_of_a_scan_and_what_is_known(self, sound: Path) -> None:
        rows = rows_of(sound / "predictions.csv")
        assert list(rows[0]) == [
            *("path", "slide", "status", "call", "probability", "error", "unlike"),
            *("label", "patient", "correct", "evaluated"),
        ]
        assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
        wrong = {row["path"].rsplit("/", 1)[-1] for row in rows if row["correct"] == "no"}
        assert wrong == {"C3P1_IMG_1.png", "C5P1_IMG_2.png"}
        for row in rows:
            assert (row["call"] == row["label"]) == (row["correct"] == "yes")
            assert row["label"] == row["slide"].lower()
            assert (row["status"], row["evaluated"], row["error"]) == ("ok", "yes", "")

    def test_all_images_stand_there_and_odd_names_come_back(self, tmp_path: Path) -> None:
        odd = ['a,"b".png', "line\nbreak.png", "caf\udce9.png", "🦟.png"]
        said = {**SOUND, **{f"Uninfected/{name}": 0.2 for name in odd}}
        out = write(tmp_path, {**said, "Uninfected/broken.png": None}, allow_failed=True)
        read = pd.read_csv(out / "predictions.csv")
        names = {path.split("Uninfected/")[-1] for path in read["path"]}
        assert names >= {*odd[:2], "caf\\xe9.png", "🦟.png", "broken.png"}
        (broken,) = (row for row in rows_of(out / "predictions.csv") if "broken" in row["path"])
        assert (broken["status"], broken["evaluated"]) == ("failed", "no: failed")
        assert (broken["call"], broken["probability"], broken["correct"]) == ("", "", "")
        assert broken["error"] == "truncated file"


class TestPatients:
    def test_the_worst_come_first_with_wilsons_intervals(self, sound: Path) -> None:
        rows = rows_of(sound / "patients.csv")
        assert [row["patient"] for row in rows] == ["C3", "C5", "C1", "C2", "C4", "C6", "C7", "C8"]
        first = rows[0]
        assert (first["parasitized"], first["missed"], first["sensitivity"]) == (
            *("1", "1"),
            "0.000000",
        )
        expected = binomtest(0, 1).proportion_ci(method="wilson")
        assert float(first["sensitivity_low"]) == pytest.approx(expected.low, abs=1e-6)
        assert float(first["sensitivity_high"]) == pytest.approx(expected.high, abs=1e-6)
        assert (rows[1]["false_alarms"], rows[1]["false_positive_rate"]) == ("1", "1.000000")

    def test_what_a_patient_does_not_define_is_empty(self, tmp_path: Path) -> None:
        out = write(tmp_path, {"Parasitized/C1_IMG_1.png": 0.9, "Uninfected/C2_IMG_1.png": 0.1})
        first, second = rows_of(out / "patients.csv")
        assert (first["false_positive_rate"], first["false_positive_rate_low"]) == ("", "")
        assert (second["sensitivity"], second["sensitivity_high"]) == ("", "")


class TestDisagreements:
    def test_they_are_the_cells_that_are_called_differently(self, tmp_path: Path) -> None:
        second = {**SOUND, "Uninfected/C1P1_IMG_2.png": 0.7, "Uninfected/C2P1_IMG_2.png": 0.4}
        other = renamed(tmp_path, "other", lambda model: None)
        out = write(tmp_path, SOUND, second, compare=other)
        (row,) = rows_of(out / "disagreements.csv")
        assert list(row) == ["path", "label", "patient", "compact", "other"]
        assert row["path"].endswith("Uninfected/C1P1_IMG_2.png")
        assert (row["patient"], row["compact"], row["other"]) == ("C1", "0.290000", "0.700000")
        comparison = metrics_of(out)["comparison"]
        assert (comparison["disagreements"], comparison["model"]["name"]) == (1, "other")
        assert "call 1 cells differently" in page_of(out).text

    def test_a_table_has_two_columns_though_the_models_share_a_name(self, tmp_path: Path) -> None:
        second = {**SOUND, "Uninfected/C1P1_IMG_2.png": 0.7}
        out = write(tmp_path, SOUND, second, compare=EMBEDDED)
        (row,) = rows_of(out / "disagreements.csv")
        assert {"0.290000", "0.700000"} <= set(row.values()), "one column hides the other"

    def test_the_name_of_a_model_is_no_formula(self, tmp_path: Path) -> None:
        def to_formula(model: dict[str, Any]) -> None:
            model["name"] = "=1+1"

        second = {**SOUND, "Uninfected/C1P1_IMG_2.png": 0.7}
        out = write(tmp_path, SOUND, second, compare=renamed(tmp_path, "other", to_formula))
        (row,) = rows_of(out / "disagreements.csv")
        assert not [column for column in row if column.startswith("=")]


class TestPage:
    def test_it_holds_figures_pictures_and_patients_and_needs_no_network(self, sound: Path) -> None:
        page = page_of(sound)
        images = [attributes for tag, attributes in page.elements if tag == "img"]
        assert len(images) == 6
        assert all(attributes["alt"] for attributes in images)
        for text in ("Evaluation of compact", "0.8750", "PPV at prevalence 2 %", "12.50 %", "C3"):
            assert text in page.text
        assert page.text.count("Research use only") == 1
        assert "://" not in (sound / "report.html").read_text(encoding="utf-8")

    def test_names_are_text_and_no_markup(self, tmp_path: Path) -> None:
        said = {
            **SOUND,
            f"Uninfected/{TOO_ODD}.png": None,
            "Uninfected/<img src=x onerror=alert(1)>.png": 0.1,
        }
        hashes = {
            "Uninfected/<img src=x onerror=alert(1)>.png": 5,
            "Parasitized/C1P1_IMG_1.png": 5,
        }
        model = renamed(tmp_path, "m", lambda facts: facts.update(name=TOO_ODD))
        out = write(tmp_path, said, hashes=hashes, allow_failed=True, model=model)
        page = page_of(out)
        assert f"Evaluation of {TOO_ODD}" in page.text
        assert f"Uninfected/{TOO_ODD}.png" in page.text
        assert "<img src=x onerror=alert(1)>.png" in page.text

    def test_of_many_unreadable_images_the_first_are_listed(self, tmp_path: Path) -> None:
        broken: Probabilities = {f"Uninfected/broken_{i:03}.png": None for i in range(LISTED + 5)}
        page = page_of(write(tmp_path, {**SOUND, **broken}, allow_failed=True))
        assert f"the first {LISTED} of {LISTED + 5}" in page.text
        assert page.text.count("broken_") == LISTED
        assert f"{LISTED + 5} images could not be read" in page.text
