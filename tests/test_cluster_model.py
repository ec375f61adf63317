"""A cluster computes what one machine computes: with the real model, on workers of our own."""

from pathlib import Path

import pytest
from conftest import Cli

from malscan.model import EMBEDDED, load_model
from malscan.report.interface import ScanFacts
from malscan.scanning.fingerprint import changed, fingerprint


def columns(report: Path) -> list[list[str]]:
    return [line.split(",") for line in report.read_text().splitlines()[1:]]


def check_alike(one: Path, other: Path) -> None:
    """Same rows in the same order, same calls, probabilities within 1e-5."""
    for row, same in zip(columns(one), columns(other), strict=True):
        assert (row[:4], row[5:]) == (same[:4], same[5:])
        assert row[4] == same[4] or abs(float(row[4]) - float(same[4])) <= 1e-5


def test_the_report_is_that_of_one_machine(cli: Cli, slides: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    paths = (slides, tmp_path / "broken.png")
    cli("scan", *paths, "--out", tmp_path / "here.csv", "--batch-size", 8)

    options = ("--batch-size", 8, "--shard-size", 9, "--cluster", "local:1")
    result = cli("scan", *paths, "--out", tmp_path / "there.csv", *options)

    assert result.code == 3
    check_alike(tmp_path / "here.csv", tmp_path / "there.csv")
    here, there = (tmp_path / f"{name}.summary.csv" for name in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.slow
@pytest.mark.real_data
def test_the_report_of_real_cells_is_that_of_one_machine(
    cli: Cli, real_test_cells: Path, tmp_path: Path
) -> None:
    cli("scan", real_test_cells, "--out", tmp_path / "here.csv")

    result = cli("scan", real_test_cells, "--out", tmp_path / "there.csv", "--cluster", "local:2")

    assert result.code == 0
    assert len(columns(tmp_path / "there.csv")) > 5000
    check_alike(tmp_path / "here.csv", tmp_path / "there.csv")


def test_results_of_one_machine_and_of_a_cluster_are_not_taken_for_the_same() -> None:
    model = load_model(EMBEDDED)
    facts = ScanFacts(threshold=0.5, batch_size=256, precision="float32", any_size=False)

    here = fingerprint(model, facts)
    there = fingerprint(model, facts, on_cluster=True)

    assert changed(here, there) == ["processor", "number of processor cores"]
