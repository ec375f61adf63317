"""The examples for every night give commands that work, to cron and systemd that take them."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Cli

EXAMPLES = ROOT / "examples"


def cron_line() -> str:
    lines = (EXAMPLES / "crontab").read_text().splitlines()
    (line,) = (line for line in lines if re.match(r"[\d*]", line))
    return line


def of_cron() -> str:
    found = re.search(r"&& malscan (.*?) \|\| ", cron_line())
    assert found
    return found[1]


def of_systemd() -> str:
    text = (EXAMPLES / "malscan-nightly.service").read_text()
    found = re.search(r"^ExecStart=\S+/malscan (.*)$", text, re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture
def lab(slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(slides / "s1", tmp_path / "slides/s1")
    (tmp_path / "reports").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("arguments", [of_cron, of_systemd])
def test_the_command_runs_night_after_night(
    cli: Cli, lab: Path, arguments: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(arguments)
    args = shlex.split(arguments().replace("--settle 600", "--settle 0"))
    for _ in range(2):
        result = cli(*args)
        assert result.code == 0, result.err
    log = (lab / "reports/malscan.log").read_text()
    assert log.count("ended: exit code 0") == 2
    assert "8 reused" in log
    assert (lab / "reports/slides.html").exists()


def test_a_bad_night_gives_cron_something_to_mail(lab: Path) -> None:
    # cron gives the line to a shell and mails what it prints; a percent sign would end it.
    line = cron_line().split(maxsplit=5)[5].replace("/srv/malscan", str(lab))
    assert "%" not in line
    (lab / "malscan").write_text(
        "#!/bin/sh\nprintf 'last words\\n' >> reports/malscan.log\nexit 3\n"
    )
    (lab / "malscan").chmod(0o755)

    done = subprocess.run(
        ["sh", "-c", line],
        env={"PATH": f"{lab}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert "exit code 3" in done.stdout
    assert "last words" in done.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name in ("malscan-nightly.service", "malscan-nightly.timer"):
        text = (EXAMPLES / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/malscan/bin/malscan", sys.executable))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "malscan-nightly.timer")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "malscan-nightly" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
