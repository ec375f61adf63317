"""`--precision` and `--device` of `malscan scan` and `malscan evaluate`."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli

from malscan import devices
from malscan.hardware import has_bfloat16
from malscan.model import EMBEDDED, load_model

needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(), reason="processor without bfloat16")


def probabilities(report: Path) -> list[float]:
    with report.open(newline="") as file:
        return [float(row["probability"]) for row in csv.DictReader(file)]


class TestDevice:
    def test_a_gpu_that_is_not_there_is_told_with_advice(
        self, cli: Cli, slides: Path, labelled: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "r.csv"
        for command in (("scan", slides, "--out", out), ("evaluate", labelled)):
            result = cli(*command, "--device", "gpu:99")
            assert result.code == 1
            assert "--device gpu:99: TensorFlow sees" in result.err
            assert "or give --device cpu" in result.err
        assert not out.exists()

    def test_a_device_of_another_kind_is_a_usage_error(self, cli: Cli, slides: Path) -> None:
        for command in ("scan", "evaluate"):
            result = cli(command, slides, "--device", "tpu")
            assert result.code == 2
            assert "give auto, cpu, gpu or gpu:N" in result.err

    def test_the_processor_can_be_asked_for(self, cli: Cli, slides: Path, tmp_path: Path) -> None:
        reports = [tmp_path / name for name in ("cpu.csv", "auto.csv")]
        for report in reports:
            result = cli("scan", slides, "--device", report.stem, "--out", report)
            assert result.code == 0
        assert reports[0].read_bytes() == reports[1].read_bytes()


class TestPrecision:
    def test_auto_is_float32_and_the_report_says_so(
        self, cli: Cli, slides: Path, tmp_path: Path
    ) -> None:
        reports = [tmp_path / f"{name}.json" for name in ("auto", "float32")]
        for report in reports:
            assert cli("scan", slides, "--precision", report.stem, "--out", report).code == 0
        assert json.loads(reports[0].read_text())["settings"]["precision"] == "float32"
        assert reports[0].read_bytes() == reports[1].read_bytes()

    @needs_bfloat16
    def test_bfloat16_is_used_said_and_close_to_float32(
        self, cli: Cli, slides: Path, tmp_path: Path
    ) -> None:
        names = {"float32": tmp_path / "f.csv", "bfloat16": tmp_path / "b.csv"}
        for precision, report in names.items():
            outs = ("--out", report, "--out", report.with_suffix(".json"))
            assert cli("scan", slides, "--precision", precision, *outs).code == 0
            document = json.loads(report.with_suffix(".json").read_text())
            assert document["settings"]["precision"] == precision
        full, short = (probabilities(report) for report in names.values())
        assert short != full
        assert short == pytest.approx(full, abs=0.1)

    @needs_bfloat16
    def test_results_in_other_numbers_are_not_taken_over(
        self, cli: Cli, slides: Path, tmp_path: Path
    ) -> None:
        out = ("--out", tmp_path / "r.csv")
        assert cli("scan", slides, *out).code == 0
        again = cli("scan", slides, *out, "--update", "--precision", "bfloat16")
        assert "the last run had another precision: every image is computed" in again.err

    def test_float16_needs_a_gpu(self, cli: Cli, slides: Path, tmp_path: Path) -> None:
        out = tmp_path / "r.csv"
        result = cli("scan", slides, "--precision", "float16", "--device", "cpu", "--out", out)
        assert result.code == 1
        assert "--precision float16 needs a GPU. Give float32 or bfloat16." in result.err
        assert not out.exists()

    def test_bfloat16_is_refused_where_the_processor_has_none(
        self, cli: Cli, labelled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(devices, "has_bfloat16", lambda: False)
        result = cli("evaluate", labelled, "--precision", "bfloat16", "--device", "cpu")
        assert result.code == 1
        assert "this processor does not have it" in result.err
        assert "Give auto or float32" in result.err

    @needs_bfloat16
    def test_an_evaluation_says_what_it_was_computed_in(
        self, cli: Cli, labelled: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "check"
        result = cli("evaluate", labelled, "--precision", "bfloat16", "--out", out)
        assert result.code == 0
        assert json.loads((out / "metrics.json").read_text())["model"]["precision"] == "bfloat16"
        assert "computed in bfloat16" in (out / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("short", "most", "distance"),
    [("auto", 5114, 0.005), pytest.param("bfloat16", 10, 0.05, marks=needs_bfloat16)],
)
def test_calls_change_only_near_the_threshold(
    short: str, most: int, distance: float, cli: Cli, real_test_cells: Path, tmp_path: Path
) -> None:
    found = {}
    for precision in (short, "float32"):
        report = tmp_path / f"{precision}.csv"
        assert cli("scan", real_test_cells, "--precision", precision, "--out", report).code == 0
        found[precision] = np.array(probabilities(report))
    threshold = load_model(EMBEDDED).threshold
    changed = (found[short] >= threshold) != (found["float32"] >= threshold)
    assert len(changed) > 5000
    assert changed.sum() <= most
    assert (np.abs(found["float32"][changed] - threshold) <= distance).all()
