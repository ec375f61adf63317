"""Shared fixtures: drawn cells, and a subset of the real ones where they are there."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from draw_cells import draw_cell, draw_labelled, draw_slides
from filelock import FileLock

from malscan.cli import main

pytest_plugins = ["fault_table"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What whoever runs the tests has set for malscan, or for programs like it, is not tested here.
for _name in ("MALSCAN_MODEL", "MALSCAN_DATA", "FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS"):
    os.environ.pop(_name, None)
for _name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)

# How long an example takes hangs on what else the machine does.
hypothesis.settings.register_profile("malscan", deadline=None)
hypothesis.settings.load_profile("malscan")

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"
TEST_PATIENTS = ROOT / "benchmarks" / "test-patients.txt"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def cell_png(tmp_path: Path, rng: np.random.Generator) -> Path:
    """One drawn parasitized cell."""
    path = tmp_path / "cell.png"
    draw_cell(rng, True, size=80).save(path)
    return path


@pytest.fixture(scope="session")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn slides, 24 small cells; do not change them."""
    folder = tmp_path_factory.mktemp("drawn") / "slides"
    draw_slides(folder, {"s1": (3, 5), "s2": (0, 8), "s3": (5, 3)}, seed=11, size=70)
    return folder


@pytest.fixture(scope="session")
def real_test_cells(pytestconfig: pytest.Config) -> Path:
    """The real cells of the 30 test patients, unpacked once into a cache."""
    script = SHARED / "unpack.py"
    if not script.exists():
        pytest.skip("real cells are not here: ../shared/data is missing")
    count = len(TEST_PATIENTS.read_text().split())
    folder = pytestconfig.rootpath / ".cache" / "test-patients"
    command = [sys.executable, str(script), str(folder), "--patients", str(count)]
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):  # Each worker comes by here.
        subprocess.run(command, check=True, capture_output=True)
    return folder / "cell_images"


@dataclass(frozen=True)
class Outcome:
    """What a command left behind for whoever called it."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs `malscan ARGS...` in this process, which has TensorFlow loaded already."""

    def run(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["malscan", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capfd.readouterr()
        code = stopped.value.code
        assert isinstance(code, int) or code is None
        return Outcome(code or 0, captured.out, captured.err)

    return run


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As on a full disk, each write beyond this many bytes fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def command(*args: object) -> list[str]:
    """The same as a command line for a process of its own."""
    return [sys.executable, "-m", "malscan", *map(str, args)]


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 small drawn cells of 12 patients in two class folders; do not change them."""
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    draw_labelled(folder, 12, 120, seed=5, size=40)
    return folder
