"""What `malscan scan` says: on a terminal, in a pipe, in a log file."""

import os
import re
import shutil
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Cli, command

from malscan.cli import main

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"


@pytest.fixture
def lab(slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The drawn slides, with a truncated cell in each of two; the current folder."""
    shutil.copytree(slides, tmp_path / "slides")
    for name in ("s1/cell_0003.png", "s3/cell_0001.png"):
        path = tmp_path / "slides" / name
        path.write_bytes(path.read_bytes()[:-100])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def log_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(re.match(f"{TIME} (INFO|WARNING|ERROR) ", line) for line in lines)
    return [line.split(" ", 1)[1] for line in lines]


# Log file


@pytest.mark.parametrize("loudness", [[], ["--quiet"], ["--verbose"]])
def test_a_log_file_tells_the_run_from_command_to_exit_code(
    cli: Cli, lab: Path, loudness: list[str]
) -> None:
    result = cli("scan", "slides", "--out", "r.csv", "--log-file", "scan.log", *loudness)

    assert result.code == 3
    lines = log_lines(lab / "scan.log")
    command_line = f"slides --out r.csv --log-file scan.log {' '.join(loudness)}".strip()
    assert lines[0] == f"INFO started: malscan scan {command_line}"
    assert re.match(rf"INFO malscan \S+, tensorflow \S+, .* in {lab}$", lines[1])
    text = "\n".join(lines)
    assert re.search(r"INFO model compact: /.*, sha256 [0-9a-f]{64}\n", text)
    assert re.search(r"WARNING slide s1: slides/s1/cell_0003.png: truncated", text)
    assert re.search(r"WARNING slide s3: slides/s3/cell_0001.png: truncated", text)
    assert "WARNING slide s3: 1 images could not be read" in text
    assert re.search(r"INFO 24 images in .* 2 failed, .* 3 slides; 7 para", text)
    assert "INFO wrote r.csv" in text
    assert re.match(r"INFO ended: exit code 3 after \d+\.\d s$", lines[-1])


def test_a_log_file_is_appended_to_and_holds_the_error_that_stops_a_run(
    cli: Cli, lab: Path
) -> None:
    (lab / "scan.log").write_text("2026-01-01T00:00:00+0000 INFO of last night\n")

    result = cli("scan", "slides", "--out", "gone/r.csv", "--log-file", "scan.log", "--quiet")
    assert result.code == 1
    result = cli("scan", "nowhere", "--out", "r.csv", "--log-file", "scan.log", "--quiet")
    assert result.code == 2

    lines = log_lines(lab / "scan.log")
    assert lines[0] == "INFO of last night"
    errors = [line for line in lines if line.startswith("ERROR")]
    assert len(errors) == 2
    assert errors[0].startswith("ERROR cannot write gone/r.csv: no such folder")
    assert errors[1].startswith("ERROR no such file or folder: nowhere")
    ends = [line.split(" after")[0] for line in lines if "ended:" in line]
    assert ends == ["INFO ended: exit code 1", "INFO ended: exit code 2"]


@pytest.mark.parametrize("name", ["gone/scan.log", "slides", "/proc/scan.log"])
def test_a_log_file_that_cannot_be_opened_is_told_before_any_work(
    cli: Cli, lab: Path, name: str
) -> None:
    before = set(lab.rglob("*"))

    result = cli("scan", "slides", "--out", "r.csv", "--log-file", name)

    assert result.code == 2
    assert f"cannot open --log-file {name}" in result.err
    assert set(lab.rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    [
        *("r.csv", "./r.csv", "r.summary.csv", "r.csv.run.json", "second.json", "failed.txt"),
        *("list.txt", "link", "sheets/scan.log", "slides/s1/cell_0001.png", "new.tif"),
    ],
)
def test_a_log_file_in_the_way_of_the_scan_is_refused(cli: Cli, lab: Path, name: str) -> None:
    (lab / "link").symlink_to("r.csv")
    (lab / "list.txt").write_text("slides/s2\n")
    cell = (lab / "slides/s1/cell_0001.png").read_bytes()

    result = cli(
        *("scan", "slides", "--files-from", "list.txt", "--out", "r.csv", "--out", "second.json"),
        *("--failed-to", "failed.txt", "--montage", "sheets", "--log-file", name),
    )

    assert result.code == 2
    assert "in the way" in result.err
    assert not (lab / "r.csv").exists()
    assert (lab / "list.txt").read_text() == "slides/s2\n"
    assert (lab / "slides/s1/cell_0001.png").read_bytes() == cell


def test_each_line_of_a_log_stays_one_whatever_the_names(cli: Cli, lab: Path) -> None:
    folder = os.fsencode(lab) + b"/odd"
    Path(os.fsdecode(folder)).mkdir()
    Path(os.fsdecode(folder + b"/line\nbreak \xe9 \x1b[31m.png")).write_bytes(b"")

    result = cli("scan", "odd", "--out", "r.csv", "--log-file", "scan.log", "--verbose")

    assert result.code == 3
    (line,) = [line for line in log_lines(lab / "scan.log") if "empty" in line]
    assert r"odd/line\nbreak \xe9 \x1b[31m.png: the file is empty" in line
    assert r"odd/line\nbreak \xe9 \x1b[31m.png: the file is empty" in result.err


@pytest.mark.fault("a full disk")
def test_a_full_disk_under_the_log_is_told_once_and_stops_nothing(cli: Cli, lab: Path) -> None:
    result = cli("scan", "slides", "--out", "r.csv", "--log-file", "/dev/full", "--quiet")

    assert result.code == 3
    assert (lab / "r.csv").exists()
    assert result.err == "malscan: cannot write --log-file /dev/full: No space left on device.\n"


# Loudness


def test_verbose_tells_model_devices_each_failed_image_and_times(cli: Cli, lab: Path) -> None:
    result = cli("scan", "slides", "--out", "r.csv", "--verbose", "--exclude", "s2")

    assert re.search(r"model compact: /.*, sha256 [0-9a-f]{64}", result.err)
    assert re.search(r"computing on \d+ cores.* in float32", result.err)
    assert "slide s1: slides/s1/cell_0003.png: truncated" in result.err
    assert re.search(r"times: opening the model .* s, .*images .* s, completing .* s", result.err)
    assert "Note: left out 1 files and folders" in result.err
    assert result.err.count("Warning: slide s1: 1 images could not be read") == 1
    assert result.err.count("slide s1: 1 images could not be read") == 1


def test_quiet_says_nothing_of_a_run_that_ends(cli: Cli, lab: Path) -> None:
    result = cli("scan", "slides", "--out", "r.csv", "--quiet", "--limit", "5")

    assert (result.code, result.out, result.err) == (3, "", "")


def test_quiet_still_tells_an_error(cli: Cli, lab: Path) -> None:
    result = cli("scan", "slides", "--out", "r.csv", "--quiet", "--exclude", "*")

    assert result.code == 1
    assert result.err.startswith("malscan: no image found (3 were left out as asked)")
    assert result.err.count("\n") == 1


def test_quiet_and_verbose_exclude_each_other(cli: Cli, lab: Path) -> None:
    assert cli("scan", "slides", "--out", "r.csv", "--quiet", "--verbose").code == 2


def test_nothing_of_the_libraries_is_seen_even_by_verbose(lab: Path) -> None:
    from PIL import Image

    with Image.open("slides/s1/cell_0001.png") as image:
        image.save("slides/s1/exif.jpg", exif=Image.Exif())
        image.save("slides/s1/plain.jpg")
    for name in ("exif.jpg", "plain.jpg"):
        path = lab / "slides/s1" / name
        path.write_bytes(path.read_bytes()[:-500] + b"\xff\xd9")

    done = subprocess.run(
        command("scan", "slides", "--out", "r.csv", "--verbose"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert done.stdout == ""
    assert "slides/s1/plain.jpg: truncated" in done.stderr
    for chatter in ("oneDNN", "cuda", "absl", ".cc:", "Corrupt JPEG", "WARNING", "\r", "\x1b"):
        assert chatter not in done.stderr


# Terminal

Terminal = Callable[..., str]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Runs `malscan ARGS...` in this process with a terminal as stderr; gives what it shows."""

    def run(*args: str, columns: int = 100, **environment: str) -> str:
        for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["malscan", *args])
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (40, columns))
        shown: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(ours, shown))
        kept = os.dup(2)
        os.dup2(theirs, 2)
        os.close(theirs)
        reader.start()
        try:
            with os.fdopen(os.dup(2), "w", buffering=1) as stderr:
                monkeypatch.setattr(sys, "stderr", stderr)
                with pytest.raises(SystemExit):
                    main()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            reader.join()
            os.close(ours)
        # A terminal itself puts a carriage return before each line feed.
        return b"".join(shown).decode().replace("\r\n", "\n")

    return run


def _read_all(terminal: int, shown: list[bytes]) -> None:
    try:
        while block := os.read(terminal, 4096):
            shown.append(block)
    except OSError:
        return


def test_a_terminal_shows_a_bar_with_the_rate(terminal: Terminal, lab: Path) -> None:
    shown = terminal("scan", "slides", "--out", "r.csv", TERM="xterm")

    assert re.search(r"\r.*24/24 .* images/s, failed=2", shown)
    assert "\x1b[1m" in shown


@pytest.mark.fault("no terminal, or one without colour and cursor")
def test_no_colour_comes_where_none_is_wanted(terminal: Terminal, lab: Path) -> None:
    shown = terminal("scan", "slides", "--out", "r.csv", TERM="xterm", NO_COLOR="1")

    assert "images/s" in shown
    assert not re.search(r"\x1b\[[0-9;]*[34]\d", shown)


@pytest.mark.fault("no terminal, or one without colour and cursor")
def test_a_dumb_terminal_gets_lines_only(terminal: Terminal, lab: Path) -> None:
    shown = terminal("scan", "slides", "--out", "r.csv", "--verbose", TERM="dumb")

    assert "TOTAL" in shown
    assert "\x1b" not in shown
    assert "\r" not in shown


def test_verbose_lines_stand_above_the_bar(terminal: Terminal, lab: Path) -> None:
    shown = terminal("scan", "slides", "--out", "r.csv", "--verbose", TERM="xterm")

    assert re.search(r"(^|[\r\n])slide s1: slides/s1/cell_0003.png: truncated[^\r]*\n", shown)


@pytest.mark.fault("a terminal of 20 columns")
def test_a_narrow_terminal_breaks_lines_and_loses_no_figure(terminal: Terminal, lab: Path) -> None:
    shown = terminal("scan", "slides", "--out", "r.csv", columns=20, TERM="xterm", NO_COLOR="1")

    rows = [line.split() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()]
    counts = {row[0]: row[2:4] for row in rows if row and row[0] in {"s1", "s2", "s3", "TOTAL"}}
    assert counts == {"s1": ["8", "1"], "s2": ["8", "0"], "s3": ["8", "1"], "TOTAL": ["24", "2"]}
    assert shown.count("(") == shown.count(")")


def test_quiet_shows_nothing_on_a_terminal(terminal: Terminal, lab: Path) -> None:
    assert terminal("scan", "slides", "--out", "r.csv", "--quiet", TERM="xterm") == ""


def test_a_pipe_gets_neither_bar_nor_colour(cli: Cli, lab: Path) -> None:
    result = cli("scan", "slides", "--out", "r.csv")

    assert "TOTAL" in result.err
    assert "\r" not in result.err
    assert "\x1b" not in result.err
    assert "images/s" not in result.err


@pytest.mark.parametrize("name", ["", "."])
def test_a_report_without_a_name_is_wrong_usage_beside_a_log_file_too(
    cli: Cli, lab: Path, name: str
) -> None:
    result = cli("scan", "slides", "--out", name, "--log-file", "scan.log")

    assert result.code == 2
    assert "unexpected" not in result.err
