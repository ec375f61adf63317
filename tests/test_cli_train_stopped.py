"""Trainings that are killed, stopped or short of disk: no half model, and they go on."""

import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import command
from draw_cells import draw_labelled

MOST_SECONDS = 240


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 small drawn cells of 8 patients; do not change them."""
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    draw_labelled(folder, 8, 24, seed=6, size=24)
    return folder


def training(cells: Path, out: Path, epochs: int) -> list[str]:
    shares = ("--test-share", "0.25", "--validation-share", "0.25", "--batch-size", "16")
    return command("train", cells, "--out", out, *shares, "--epochs", epochs, "--deterministic")


def stopped(args: list[str], number: signal.Signals, ready: Callable[[], bool]) -> tuple[int, str]:
    """Exit code and messages of a training that gets a signal as soon as it is ready for it."""
    with subprocess.Popen(args, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + MOST_SECONDS
        while not ready():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=MOST_SECONDS)
    return process.returncode, err


def go_on(args: list[str]) -> str:
    """Messages of a training that comes to its end."""
    done = subprocess.run(args, check=False, capture_output=True, text=True, timeout=MOST_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_stopped_training_leaves_a_checkpoint_and_no_model(
    number: signal.Signals, code: int, word: str, cells: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / ".m.malscan" / "checkpoint.safetensors"
    found, err = stopped(training(cells, tmp_path / "m", 500), number, checkpoint.exists)

    assert found == code
    assert f"malscan: {word}; finished epochs are kept, and the same command goes on" in err
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [".m.lock", ".m.malscan"]
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


@pytest.mark.slow
@pytest.mark.fault("a full disk")
def test_a_full_disk_keeps_the_checkpoint_and_a_damaged_or_strange_one_is_told(
    cells: Path, tmp_path: Path
) -> None:
    args = training(cells, tmp_path / "m", 2)
    checkpoint = tmp_path / ".m.malscan" / "checkpoint.safetensors"
    stopped(training(cells, tmp_path / "m", 500), signal.SIGKILL, checkpoint.exists)
    strange = tmp_path / "strange"
    shutil.copytree(checkpoint.parent, strange)

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    full = subprocess.run(
        training(cells, tmp_path / "m", 500),
        check=False,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        preexec_fn=small_files,
    )
    assert full.returncode == 1
    assert "Going on after epoch" in full.stderr
    assert "cannot write" in full.stderr
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]
    assert checkpoint.read_bytes() == (strange / checkpoint.name).read_bytes()

    assert "of other data, settings or versions: starting afresh" in go_on(args)

    damaged = tmp_path / ".n.malscan"
    shutil.copytree(strange, damaged)
    (damaged / checkpoint.name).write_bytes(b"no checkpoint")
    assert "is damaged: starting afresh" in go_on(training(cells, tmp_path / "n", 2))
    assert (tmp_path / "m/weights.safetensors").read_bytes() == (
        tmp_path / "n/weights.safetensors"
    ).read_bytes()
