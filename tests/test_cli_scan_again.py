"""`malscan scan`, run again: after a kill, every night, beside another run, on a dead drive."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli, Outcome
from draw_cells import draw_cell

from malscan import pipeline
from malscan.atomic import locked
from malscan.errors import ExitCode, MalscanError, StoppedError
from malscan.scan import scan
from malscan.scanning import watched
from malscan.scanning.listener import Progress, ScanListener
from malscan.scanning.state import FINISHED, RUNNING, state_folder
from malscan.settings import NightlySettings, ScanSettings

LONG_AGO = 1_700_000_000


@pytest.fixture
def cells(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A slide of twelve small cells, drawn long ago."""
    folder = tmp_path / "slides" / "s1"
    folder.mkdir(parents=True)
    for number in range(12):
        put_cell(folder / f"{number:02}.png", rng)
    return folder


def put_cell(path: Path, rng: np.random.Generator) -> None:
    draw_cell(rng, bool(rng.integers(2)), size=60).save(path)
    os.utime(path, (LONG_AGO, LONG_AGO))


def many(folder: Path, source: Path, count: int) -> Path:
    """Hard links to the cells, under names of their own."""
    folder.mkdir()
    sources = sorted(source.iterdir())
    for number in range(count):
        os.link(sources[number % len(sources)], folder / f"{number:06}.png")
    return folder


def outputs(report: Path) -> dict[str, bytes]:
    """What a scan to `report` leaves, apart from the record of the run."""
    found = report.parent.glob(f"{report.stem}.*")
    return {path.name: path.read_bytes() for path in found if not path.name.endswith(".run.json")}


def record(report: Path) -> dict[str, int]:
    counts: dict[str, int] = json.loads(report.with_name(f"{report.name}.run.json").read_text())
    return counts


def undisturbed(cli: Cli, cells: Path, folder: Path, *options: object) -> dict[str, bytes]:
    folder.mkdir()
    cli("scan", cells, "--out", folder / "r.csv", "--out", folder / "r.json", *options)
    return outputs(folder / "r.csv")


def test_a_night_computes_what_is_new_and_reports_what_a_full_run_would(
    cli: Cli, cells: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    report = tmp_path / "r.csv"
    nightly = ("scan", cells, "--out", report, "--out", tmp_path / "r.json", "--update")
    whole = (cells / "03.png").read_bytes()
    (cells / "03.png").write_bytes(whole[:-20])
    assert cli(*nightly).code == 3
    assert (record(report)["computed"], record(report)["reused"]) == (12, 0)
    (cells / "03.png").write_bytes(whole)
    put_cell(cells / "00a.png", rng)
    put_cell(cells / "05.png", rng)
    os.utime(cells / "05.png", (LONG_AGO + 1, LONG_AGO + 1))
    (cells / "07.png").unlink()

    result = cli(*nightly)

    assert result.code == 0
    assert (record(report)["computed"], record(report)["reused"]) == (3, 9)
    assert "9 of them were known from an earlier run" in result.err
    assert outputs(report) == undisturbed(cli, cells, tmp_path / "full")


def test_a_night_with_nothing_new_does_not_load_tensorflow(
    cli: Cli, cells: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.csv"
    cli("scan", cells, "--out", report)
    before = outputs(report)
    script = (
        "import sys\nfrom malscan.cli import main\ntry:\n    main()\n"
        "finally:\n    print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )

    night = subprocess.run(
        [sys.executable, "-c", script, "scan", str(cells), "--out", str(report), "--update"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert night.stdout.strip() == "[]"
    assert record(report)["reused"] == 12
    assert outputs(report) == before


def test_a_changed_image_that_looks_unchanged_is_found_by_its_content(
    cli: Cli, cells: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.csv"
    nightly = ("scan", cells, "--out", report, "--update", "--verify-content")
    cli(*nightly)
    first, second = (cells / "00.png").read_bytes(), (cells / "01.png").read_bytes()
    (cells / "00.png").write_bytes(second)
    (cells / "01.png").write_bytes(first)
    for name in ("00.png", "01.png"):
        os.utime(cells / name, (LONG_AGO, LONG_AGO))

    cli(*nightly)

    assert record(report)["computed"] == 2


def test_an_image_that_is_still_being_copied_is_left_and_no_failure(
    cli: Cli, cells: Path, tmp_path: Path
) -> None:
    (cells / "05.png").touch()

    result = cli("scan", cells, "--out", tmp_path / "r.csv", "--settle", 3600)

    assert result.code == 0
    assert "1 images had just been changed" in result.err
    row = (tmp_path / "r.csv").read_text().splitlines()[6]
    assert row.endswith(
        "05.png,s1,failed,,,changed within the last 3600 s (--settle): left for the next run,"
    )
    assert record(tmp_path / "r.csv")["left_for_next_run"] == 1


def stopping_after(images: int) -> ScanListener:
    done = 0

    def on_progress(progress: Progress) -> None:
        nonlocal done
        done = progress.done

    def check() -> None:
        if done >= images:
            raise StoppedError(ExitCode.TERMINATED, "terminated")

    return ScanListener(on_progress=on_progress, check=check)


def test_a_stopped_scan_goes_on_and_ends_with_the_report_of_an_undisturbed_one(
    cli: Cli, cells: Path, tmp_path: Path
) -> None:
    images = many(tmp_path / "many", cells, 100)
    (images / "000050.png").unlink()
    (images / "000050.png").write_bytes(b"no image")
    report = tmp_path / "r.csv"
    outs = (str(report), str(tmp_path / "r.json"))
    settings = ScanSettings((str(images),), outs, batch_size=8)
    for stop in (8, 24, 56):
        with pytest.raises(StoppedError, match="the same command goes on from there"):
            scan(settings, stopping_after(stop))
        assert not outputs(report)

    said = cli("scan", images, *("--out", report, "--out", outs[1]), "--batch-size", 8).err

    assert "going on with an unfinished run" in said
    assert record(report)["reused"] >= 55
    assert outputs(report) == undisturbed(cli, images, tmp_path / "full", "--batch-size", 8)
    assert not (state_folder(report) / RUNNING).exists()


def test_another_setting_starts_afresh_and_says_so(cli: Cli, cells: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    with pytest.raises(StoppedError):
        scan(ScanSettings((str(cells),), (str(report),), batch_size=4), stopping_after(4))

    result = cli("scan", cells, "--out", report, "--batch-size", 4, "--threshold", 0.3)

    assert "an unfinished run had another threshold" in result.err
    assert "starting afresh" in result.err
    assert record(report)["reused"] == 0


@pytest.mark.fault("a damaged state of a scan (bytes flipped, blanked, cut off)")
def test_a_damaged_state_costs_a_full_scan_and_is_told(
    cli: Cli, cells: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.csv"
    cli("scan", cells, "--out", report)
    before = outputs(report)
    state = state_folder(report) / FINISHED
    state.write_bytes(state.read_bytes()[:5000])

    result = cli("scan", cells, "--out", report, "--update")

    assert result.code == 0
    assert "damaged state" in result.err
    assert record(report)["computed"] == 12
    assert outputs(report) == before


@contextmanager
def held(report: Path, seconds: float) -> Iterator[None]:
    """Another run that writes a report for a while."""
    ready = threading.Event()

    def hold() -> None:
        with locked([report]):
            ready.set()
            time.sleep(seconds)

    other = threading.Thread(target=hold)
    other.start()
    ready.wait()
    yield
    other.join()


@pytest.mark.fault("two runs for the same report at once")
def test_a_second_run_can_wait_for_the_first(cli: Cli, cells: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    with held(report, 1.5):
        assert cli("scan", cells, "--out", report).code == 75
        assert cli("scan", cells, "--out", report, "--wait", 60).code == 0


def test_a_second_run_does_not_wait_for_ever(cli: Cli, cells: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    with locked([report]):
        assert cli("scan", cells, "--out", report, "--wait", 0.3).code == 75


@pytest.mark.fault("two runs for the same report at once")
def test_the_lock_of_a_dead_run_does_not_block(cli: Cli, cells: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    script = (
        "import os, sys; from pathlib import Path; from malscan.atomic import locked\n"
        "with locked([Path(sys.argv[1])]): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(report)], check=False)
    assert (tmp_path / ".r.csv.lock").exists()

    assert cli("scan", cells, "--out", report).code == 0


@pytest.mark.fault("a drive that stalls")
def test_a_dead_drive_is_told_and_the_work_is_kept(
    cli: Cli, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = many(tmp_path / "many", cells, 80)
    dead = images / "000050.png"
    dead.unlink()
    os.mkfifo(dead)
    # A pipe that nobody writes to hangs whoever opens it, as a dead drive does; the check that
    # would refuse it is taken out.
    monkeypatch.setattr(pipeline, "fault_of_file", lambda path: None)
    monkeypatch.setattr(watched, "_END_SECONDS", 0.1)
    report = tmp_path / "r.csv"
    nightly = NightlySettings(stall_timeout=4)

    with pytest.raises(MalscanError) as told:
        scan(ScanSettings((str(images),), (str(report),), batch_size=8, nightly=nightly))

    assert "nothing could be read for 4 s (--stall-timeout)" in str(told.value)
    assert "the same command goes on from there" in str(told.value)
    assert not report.exists()
    assert watched.is_thread_abandoned()
    come_alive(dead, cells / "00.png")
    assert cli("scan", images, "--out", report, "--batch-size", 8).code == 0
    assert record(report)["reused"] >= 24


def come_alive(pipe: Path, source: Path) -> None:
    """Put a file in the place of a pipe, and let go whoever hangs on that."""
    other_end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    pipe.unlink()
    shutil.copy2(source, pipe)
    os.close(other_end)
    deadline = time.monotonic() + 30
    while watched.is_thread_abandoned():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.fault("a drive that stalls")
def test_a_command_ends_although_a_thread_hangs_on_a_dead_drive(
    cli: Cli, cells: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.csv"
    nightly = ("scan", cells, "--out", report, "--update")
    cli(*nightly)
    script = (
        "import time\n"
        "from malscan.scanning import state, watched\n"
        "watched._END_SECONDS = 0.1\n"
        "state.version_of = lambda path, with_content: time.sleep(1000)\n"
        "from malscan.cli import main\nmain()"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, nightly), "--stall-timeout", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "nothing could be read for 1 s (--stall-timeout)" in done.stderr


def test_a_scan_to_stdout_keeps_no_state(
    cli: Cli, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    assert len(cli("scan", cells, "--out", "-").out.splitlines()) == 13

    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "-", "--update"], "--update needs a report file"),
        (["--out", "r.csv", "--settle", "-1"], "--settle -1 is not between"),
        (["--out", "r.csv", "--wait", "-1"], "--wait -1 is not between"),
        (["--out", "r.csv", "--stall-timeout", "-1"], "--stall-timeout -1 is not between"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    cli: Cli, cells: Path, options: list[str], message: str
) -> None:
    result: Outcome = cli("scan", cells, *options)

    assert result.code == 2
    assert message in result.err
