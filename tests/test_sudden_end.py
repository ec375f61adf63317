"""Where memory runs out, or somebody kills the process: a plain message, and the work is kept."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import command

from malscan.cli.guard import outcome_of

MEMORY = "death by a limit on memory"
LAST_WORDS = "the process ended without a word"

DIE = """
import os, sys, threading
from malscan.cli.last_words import last_words, leave_in_order
with last_words():
    {}
"""


def ended(how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DIE.format(how)], capture_output=True, text=True, check=False
    )


@pytest.mark.fault(MEMORY)
@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os.abort()", "os._exit(9)"])
def test_a_process_that_cannot_speak_any_more_has_last_words(how: str) -> None:
    done = ended(how)

    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith(f"malscan: {LAST_WORDS}")
    assert "the same command goes on from there" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "how", ["pass", "sys.exit(3)", "raise KeyboardInterrupt", "leave_in_order(); os._exit(1)"]
)
def test_one_that_ends_in_order_has_none(how: str) -> None:
    assert LAST_WORDS not in ended(how).stderr


def test_the_end_of_who_has_the_last_words_harms_nobody() -> None:
    twin = "int(open(f'/proc/self/task/{os.getpid()}/children').read())"
    done = ended(f"os.kill({twin}, 9); os.wait()")

    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_does_not_end_who_has_the_last_words() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIE.format("os.killpg(0, 2)")],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        # Jobs in the background may have been begun with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )

    assert "KeyboardInterrupt" in done.stderr
    assert LAST_WORDS not in done.stderr


@pytest.mark.fault(MEMORY)
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ImportError("libtensorflow_cc.so.2: failed to map segment from shared object"),
        type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"),
    ],
)
def test_a_lack_of_memory_is_told_as_such(error: Exception) -> None:
    message, code = outcome_of(error)

    assert message.startswith("not enough memory")
    assert "smaller --batch-size" in message
    assert code == 1


def scanning(slides: Path, report: Path) -> list[str]:
    return command("scan", slides, "--out", report, "--quiet")


def limited(args: list[str], memory: int) -> subprocess.CompletedProcess[str]:
    """Run with a limit on the address space, in bytes."""
    return subprocess.run(
        ["prlimit", f"--as={memory}", *args], capture_output=True, text=True, check=False
    )


@pytest.mark.fault(MEMORY)
@pytest.mark.parametrize("memory", [0.5, 1.5])
def test_too_little_memory_to_load_tensorflow_is_told(
    slides: Path, tmp_path: Path, memory: float
) -> None:
    done = limited(scanning(slides, tmp_path / "r.csv"), int(memory * 1e9))

    assert done.returncode == 1
    assert done.stderr.startswith("malscan: not enough memory")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.slow
@pytest.mark.fault(MEMORY)
@pytest.mark.parametrize("memory", [2.8, 3.0, 3.2, 3.4])
def test_memory_that_hardly_suffices_gives_the_report_or_a_message(
    slides: Path, tmp_path: Path, memory: float
) -> None:
    report = tmp_path / "r.csv"

    done = limited(scanning(slides, report), int(memory * 1e9))

    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "not enough memory" in done.stderr or LAST_WORDS in done.stderr
    assert report.exists() == (done.returncode == 0)
    assert subprocess.run(scanning(slides, report), check=False).returncode == 0


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of the system for 600 MB of memory, as a container has one."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), *_UNIFIED):
        folder = Path(root) / f"malscan-test-{os.getpid()}"
        with suppress(OSError):
            folder.mkdir()
            try:
                (folder / limit).write_text(str(600_000_000))
                yield folder
                return
            finally:
                _removed(folder)
    pytest.skip("no control group can be made here: that takes root")


_UNIFIED = (("/sys/fs/cgroup", "memory.max"),)


def _removed(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        with suppress(OSError):
            folder.rmdir()
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.fault(MEMORY)
def test_a_scan_that_the_system_kills_for_its_memory_is_told_and_can_be_repeated(
    group: Path, slides: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.csv"
    join = f'echo $$ > {group}/cgroup.procs && exec "$@"'

    done = subprocess.run(
        ["bash", "-c", join, "bash", *scanning(slides, report), "--batch-size", "8192"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == -signal.SIGKILL
    assert done.stderr.startswith(f"malscan: {LAST_WORDS}")
    assert not report.exists()
    assert subprocess.run(scanning(slides, report), check=False).returncode == 0
    assert json.loads((tmp_path / "r.csv.run.json").read_text())["images"] == 24
