"""`malscan train --folds K --cluster`: what it leaves behind, and what stops it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Cli, command
from distributed import LocalCluster

from malscan.cluster.fold_work import FOLD_PROCESS, TOKEN, FoldTask, check_sees
from malscan.cluster.fold_work import supervised as supervise
from malscan.dataset import labelled_cells
from malscan.errors import MalscanError
from malscan.settings import DataSettings
from malscan.split import Split
from malscan.training.fold import Fold
from malscan.training.settings import SplitSettings, TrainSettings


@pytest.fixture
def task(labelled: Path, tmp_path: Path) -> FoldTask:
    """A fold whose folder and cells are seen here."""
    data = DataSettings(labelled)
    settings = TrainSettings(data, tmp_path / "cv", split=SplitSettings(folds=2))
    cells = labelled_cells(data).absolute()
    (tmp_path / "fold-1").mkdir()
    (tmp_path / "fold-1" / TOKEN).write_text("of this run")
    fold = Fold(1, settings, Split(cells.cells, [], []), tmp_path / "fold-1")
    return FoldTask(fold, cells, "of this run", "topic")


def test_a_worker_that_sees_folder_and_cells_may_train(task: FoldTask) -> None:
    check_sees(task)


def test_a_folder_of_the_same_name_that_is_not_shared_is_told(task: FoldTask) -> None:
    (task.fold.state / TOKEN).write_text("of another machine")

    with pytest.raises(MalscanError, match=f"does not see {task.fold.state.parent}.*--out on"):
        check_sees(task)


def test_cells_that_are_not_shared_are_told(task: FoldTask, tmp_path: Path) -> None:
    moved = Path(task.fold.split.train[0].path)
    hidden = moved.rename(tmp_path / "hidden.png")
    try:
        with pytest.raises(MalscanError, match=rf"cannot open {moved} \(no such file"):
            check_sees(task)
    finally:
        hidden.rename(moved)


def supervised(
    script: str, is_wanted: Callable[[], bool] = lambda: True
) -> tuple[str | None, list[str]]:
    said: list[str] = []
    process = [sys.executable, "-c", f"import json, os, sys, time\n{script}"]
    return supervise(process, b"input", said.append, is_wanted), said


def test_messages_of_the_process_of_a_fold_are_passed_on() -> None:
    script = "print(json.dumps(['message', sys.stdin.read()]))"

    assert supervised(script) == (None, ["input"])


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("print(json.dumps(['error', 'no cells'])); sys.exit(1)", "no cells"),
        ("sys.exit(1)", "its process failed; the log of the worker says more"),
        ("os.kill(os.getpid(), 9)", "its process was killed by signal 9; is there enough memory?"),
    ],
)
def test_the_end_of_the_process_of_a_fold_is_told(script: str, fault: str) -> None:
    assert supervised(script) == (fault, [])


def test_a_process_that_nobody_wants_any_more_is_ended() -> None:
    start = time.monotonic()

    fault, _ = supervised("time.sleep(60)", lambda: False)

    assert fault == "stopped"
    assert time.monotonic() - start < 30


def processes_of(word: str) -> list[int]:
    """Processes whose command line holds a word."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in entry.read_bytes().decode(errors="replace"):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_folds_are_trained_side_by_side_and_finished_ones_are_kept(
    cli: Cli, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(labelled.parent)
    args = ("train", labelled.name, "--out", tmp_path / "cv", "--folds", 2, "--epochs", 1)
    cluster = ("--cluster", "local:2")

    result = cli(*args, *cluster)

    assert result.code == 0
    for number in (1, 2):
        assert f"fold {number}: epoch 1: loss" in result.err
        assert (tmp_path / "cv" / f"fold-{number}" / "model.json").is_file()
    record = json.loads((tmp_path / "cv" / "cross_validation.json").read_text())
    tested = [name for fold in record["folds"] for name in fold["test_patients"]]
    assert len(tested) == len(set(tested)) == 12
    # The lock is always left.
    assert {path.name for path in tmp_path.iterdir()} - {".cv.lock"} == {"cv"}


@pytest.mark.slow
def test_a_killed_command_leaves_no_training_behind_and_goes_on(
    cli: Cli, labelled: Path, tmp_path: Path
) -> None:
    args = ("train", labelled, "--out", tmp_path / "cv", "--folds", 2, "--epochs", 3)
    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=50
    ) as cluster:
        there = ("--cluster", cluster.scheduler_address)
        with subprocess.Popen(command(*args, *there), stderr=subprocess.PIPE, text=True) as killed:
            assert killed.stderr is not None
            for line in killed.stderr:
                if "fold 1: epoch 1" in line:
                    break
            killed.kill()
        until = time.monotonic() + 30
        while processes_of(FOLD_PROCESS) and time.monotonic() < until:
            time.sleep(0.2)
        assert not processes_of(FOLD_PROCESS)

        result = cli(*args, *there)

    assert result.code == 0
    assert "fold 1: Going on after epoch" in result.err
    assert "fold 2: epoch 3" in result.err


@pytest.mark.slow
def test_a_fold_whose_worker_is_killed_goes_on_elsewhere(
    cli: Cli, labelled: Path, tmp_path: Path
) -> None:
    args = ("train", labelled, "--out", tmp_path / "cv", "--folds", 2, "--epochs", 2)
    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=50
    ) as cluster:
        checkpoint = tmp_path / ".cv.malscan" / "fold-1" / "checkpoint.safetensors"

        def kill() -> None:
            while not checkpoint.exists():
                time.sleep(0.1)
            os.kill(cluster.workers[0].pid, signal.SIGKILL)

        killing = threading.Thread(target=kill, daemon=True)
        killing.start()
        result = cli(*args, "--cluster", cluster.scheduler_address)

    assert not killing.is_alive()
    assert result.code == 0
    assert "fold 1: Going on after epoch" in result.err
