"""Every example gives commands that work, to cron, systemd, Snakemake, a shell and Python."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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


def of_snakemake(slide: str) -> list[str]:
    """The shell line of the rule, filled in as Snakemake does."""
    text = (EXAMPLES / "Snakefile").read_text()
    rule = text[text.index("rule scan:") :]
    line = "".join(re.findall(r'^ +"(.*)"$', rule[rule.index("shell:") :], re.MULTILINE))
    outputs = dict(re.findall(r'(\w+)="(reports/.*)"', rule))
    found = re.search(r'log:\s+"(.*)"', rule)
    assert found
    filled = line.format(
        input=f"slides/{slide}", output=SimpleNamespace(**outputs), log=found[1]
    ).format(batch=slide)
    return shlex.split(filled)


def test_the_rule_for_snakemake_makes_all_its_outputs(cli: Cli, lab: Path) -> None:
    program, *args = of_snakemake("s1")
    (lab / "slides/s1/broken.png").write_bytes(b"no image")

    result = cli(*args)

    assert program == "malscan"
    assert result.code == 0, result.err
    names = re.findall(r'"reports/(\{batch\}\..*?)"', (EXAMPLES / "Snakefile").read_text())
    made = {path.name for path in (lab / "reports").iterdir()}
    assert {name.format(batch="s1") for name in names} <= made
    assert (lab / "reports/s1.failed.txt").read_text() == "slides/s1/broken.png\n"


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="Snakemake is not here")
def test_snakemake_takes_the_rules(lab: Path) -> None:
    snakefile = str(EXAMPLES / "Snakefile")
    done = subprocess.run(
        ["snakemake", "--snakefile", snakefile, "--cores", "2", "--dry-run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "slides/s1" in done.stdout + done.stderr


def test_the_python_script_prints_slides_and_surest_cells(
    slides: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = str(EXAMPLES / "from_python.py")
    monkeypatch.setattr(sys, "argv", [script, str(slides), str(tmp_path / "r.csv")])

    runpy.run_path(script, run_name="__main__")

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["s1", "s2", "s3"]
    assert [float(line.split()[0]) for line in lines[3:]] == sorted(
        (float(line.split()[0]) for line in lines[3:]), reverse=True
    )
    assert len(lines) == 6
    assert (tmp_path / "r.csv").exists()


def test_the_python_script_tells_what_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = str(EXAMPLES / "from_python.py")
    monkeypatch.setattr(sys, "argv", [script, str(tmp_path / "gone"), str(tmp_path / "r.csv")])

    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(script, run_name="__main__")

    assert stopped.value.code == 2
    assert "no such file or folder" in capsys.readouterr().err


def adapt(folder: Path, cells: Path, more: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run the script with some program in the place of malscan."""
    (folder / "malscan").write_text(f"#!/bin/sh\n{program}\n")
    (folder / "malscan").chmod(0o755)
    return subprocess.run(
        [str(EXAMPLES / "adapt.sh"), str(cells), "own-model"],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin", "MORE": more, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_adapting_trains_and_then_judges(tmp_path: Path) -> None:
    cells = tmp_path / "own cells"
    cells.mkdir()

    done = adapt(tmp_path, cells, "--patient-folders", r"""printf '%s\n' "$*" >> lines""")

    assert done.returncode == 0, done.stderr
    train, evaluate = (tmp_path / "lines").read_text().splitlines()
    assert train == f"train {cells} --from embedded --out own-model --patient-folders"
    assert evaluate.startswith(f"evaluate {cells} --model own-model --compare embedded")
    assert "--model own-model" in done.stdout


def test_adapting_passes_a_missed_gate_on(tmp_path: Path) -> None:
    done = adapt(tmp_path, tmp_path, "", 'test "$1" = train || exit 4')

    assert done.returncode == 4
    assert not done.stdout


def test_adapting_goes_on_past_images_that_cannot_be_read(tmp_path: Path) -> None:
    done = adapt(tmp_path, tmp_path, "", "exit 3")

    assert done.returncode == 0
    assert "--model own-model" in done.stdout


@pytest.mark.slow
def test_adapting_to_drawn_cells_ends_with_a_model(labelled: Path, tmp_path: Path) -> None:
    program = f'exec {sys.executable} -m malscan "$@"'

    done = adapt(tmp_path, labelled, "", program)

    assert done.returncode in (0, 4), done.stderr
    assert (tmp_path / "own-model/model.json").exists()
    assert (tmp_path / "own-model-check/report.html").exists()
