"""A cluster computes what one machine computes: with the real model, on workers of our own."""

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Cli, command

from malscan.scanning.state import RUNNING, state_folder


def columns(report: Path) -> list[list[str]]:
    return [line.split(",") for line in report.read_text().splitlines()[1:]]


def check_alike(one: Path, other: Path) -> None:
    """Same rows in the same order, same calls, probabilities within 1e-5."""
    for row, same in zip(columns(one), columns(other), strict=True):
        assert (row[:4], row[5:]) == (same[:4], same[5:])
        assert row[4] == same[4] or abs(float(row[4]) - float(same[4])) <= 1e-5


@pytest.mark.slow
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


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_ends_the_scan_in_good_order(slides: Path, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(4000):
        (tmp_path / "many" / f"{number:04}.png").hardlink_to(next(slides.rglob("*.png")))
    options = ("--cluster", "local:1", "--shard-size", 8, "--batch-size", 8)
    scan = command("scan", tmp_path / "many", "--out", tmp_path / "r.csv", *options)
    with subprocess.Popen(scan, start_new_session=True, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 120
        while not images_kept(tmp_path / "r.csv") and time.monotonic() < until:
            time.sleep(0.2)
        # The terminal sends it to every process of the session, workers included.
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    (line,) = said.decode().splitlines()
    assert line.startswith("malscan: interrupted after")


def images_kept(report: Path) -> int:
    """Number of images that a running scan has written down."""
    try:
        with closing(sqlite3.connect(state_folder(report) / RUNNING, timeout=1)) as journal:
            return int(journal.execute("SELECT count(*) FROM images").fetchone()[0])
    except sqlite3.Error:
        return 0
