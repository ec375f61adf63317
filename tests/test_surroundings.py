"""Commands started as jobs start them: streams closed or full, no home, no locale, no room."""

import errno
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Never

import pytest
from archives import publish, tiny_images, tree
from conftest import Cli, command

from malscan.errors import UsageError
from malscan.place import data_folder

IMAGES = tiny_images(patients=2, each=5)
CLOSED = "closed stdin, stdout or stderr"
FULL = "a stdout or stderr that is full, or that nobody reads (SIGPIPE)"
NARROW = "a terminal of 20 columns"
NO_LOCALE = "no locale, and names that are not ASCII"
NO_TERMINAL = "no terminal, or one without colour and cursor"
NO_HOME = "no home folder, or one that cannot be written"

BARE = {"PATH": os.environ["PATH"]}
ASCII = {**BARE, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

MESSY = (
    "import contextlib, os, malscan.fetch.unpack as unpack\n"
    "write = unpack._write\n"
    "def messy(*args):\n"
    "    write(*args)\n"
    "    for number in (0, 1, 2):\n"
    "        with contextlib.suppress(OSError): os.write(number, b'native message')\n"
    "unpack._write = messy\n"
    "from malscan.cli import main\nmain()"
)
"""Runs malscan with native code that writes to the standard streams while it unpacks."""


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    publish(tmp_path / "served", IMAGES)
    return tmp_path / "served/cell_images.zip"


def in_shell(
    args: Sequence[object], redirections: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command as a shell starts it, with redirections."""
    line = f"exec {shlex.join(map(str, args))} {redirections}"
    shell = ["bash", "-c", line]
    return subprocess.run(shell, capture_output=True, text=True, check=False, env=environment)


def fetching(zipped: Path, dest: Path) -> list[str]:
    return command("fetch", dest, "--from-file", zipped, "--sha256", "none")


@pytest.mark.fault(CLOSED)
@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_what_native_code_says_to_a_closed_stream_is_in_no_file(
    zipped: Path, tmp_path: Path, closed: str
) -> None:
    args = [sys.executable, "-c", MESSY, *fetching(zipped, tmp_path / "d")[3:]]

    done = in_shell(args, closed)

    assert done.returncode == 0
    assert tree(tmp_path / "d/cell_images") == IMAGES


@pytest.mark.fault(CLOSED)
@pytest.mark.parametrize(
    ("args", "closed", "said"),
    [
        (["--files-from", "-", "--out", "r.csv"], "<&-", "stdin is closed. Name a file."),
        ([".", "--out", "-", "--allow-empty"], ">&-", "cannot write to stdout: it is closed"),
    ],
)
def test_a_closed_stream_that_is_needed_is_told(
    tmp_path: Path, args: list[str], closed: str, said: str
) -> None:
    done = in_shell(["env", "-C", tmp_path, *command("scan", *args)], closed)

    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.fault(FULL)
@pytest.mark.parametrize("full", ["2>/dev/full", "2> >(exec true)"])
def test_messages_that_nobody_takes_stop_nothing(zipped: Path, tmp_path: Path, full: str) -> None:
    assert in_shell(fetching(zipped, tmp_path / "d"), full).returncode == 0
    assert tree(tmp_path / "d/cell_images") == IMAGES
    wrong = command("scan", "nowhere", "--out", "r.csv")
    assert in_shell(wrong, full).returncode == 2


@pytest.mark.fault(FULL)
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_full_stdout_under_help_is_told_in_one_line(option: str) -> None:
    done = in_shell(command(option), ">/dev/full")

    assert done.returncode == 1
    assert done.stderr == "malscan: cannot write to stdout: No space left on device\n"


@pytest.mark.fault(FULL)
def test_a_reader_of_help_that_goes_away_hears_nothing_more() -> None:
    done = in_shell(["bash", "-c", shlex.join(command("scan", "--help")) + " | head -c 1"], "")

    assert done.stderr == ""


@pytest.mark.fault(NARROW)
def test_help_names_every_option_in_a_narrow_terminal() -> None:
    shown = [
        subprocess.run(
            command("scan", "--help-all"),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": columns},
        ).stdout
        for columns in ("20", "80")
    ]

    assert shown[0] == shown[1]
    assert "--fail-on-failed" in shown[0]


@pytest.mark.fault(NO_LOCALE)
def test_names_are_the_same_without_a_locale(zipped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "träger µ"

    done = in_shell(fetching(zipped, folder), "", ASCII)
    plan = in_shell(command("scan", folder, "--out", "r.csv", "--dry-run"), "", ASCII)

    assert done.returncode == 0, done.stderr
    assert tree(folder / "cell_images") == IMAGES
    assert plan.returncode == 0, plan.stderr
    assert "20" in plan.stderr


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor the system knows a home, as under a made-up user number."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for name in ("HOME", "MALSCAN_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.fault(NO_HOME)
def test_without_a_home_the_place_of_the_data_has_to_be_named(homeless: None) -> None:
    with pytest.raises(UsageError, match=r"no home folder is known\. Name a folder"):
        data_folder()


@pytest.mark.fault(NO_HOME)
def test_a_folder_named_like_a_home_is_not_made(
    homeless: None, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    for args in (["fetch"], ["train", "--out", "m"], ["evaluate"]):
        assert cli(*args).code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(NO_HOME)
def test_settings_of_keras_come_from_no_home(tmp_path: Path) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras/keras.json").write_text('{"image_data_format": "channels_first"}')
    script = (
        "import malscan.cli, json, os; home = os.environ['KERAS_HOME']\n"
        "print(json.load(open(home + '/keras.json'))['image_data_format'])\n"
        "print(os.environ['KERAS_BACKEND'])"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "KERAS_BACKEND": "jax"}

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )

    assert done.stdout.split() == ["channels_last", "tensorflow"]


def test_tensorflow_computes_with_onednn_and_keeps_memory_unless_the_user_says_otherwise() -> None:
    names = ("TF_ENABLE_ONEDNN_OPTS", "TF_CPU_ALLOCATOR_USE_BFC")
    script = f"import malscan, os; print(*(os.environ[name] for name in {names}))"
    outside = {name: value for name, value in os.environ.items() if name not in names}

    def told(environment: dict[str, str]) -> str:
        command = [sys.executable, "-c", script]
        return subprocess.check_output(command, text=True, env=environment).strip()

    assert told(outside) == "1 true"
    assert told({**outside, "TF_ENABLE_ONEDNN_OPTS": "0"}) == "0 true"


@pytest.mark.fault(NO_HOME)
def test_no_place_for_temporary_files_is_told(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list.txt").write_text("")

    def nowhere() -> Never:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    args = ("--out", tmp_path / "r.csv", "--allow-empty")

    result = cli("scan", "--files-from", tmp_path / "list.txt", *args)

    assert result.code == 1
    assert "no temporary file can be made" in result.err
    assert "Set TMPDIR" in result.err
    assert cli("scan", tmp_path, *args).code == 0


# Real scans, each in a process of its own

REPORTS = ("r.csv", "r.summary.csv", "r.json", "r.html")


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory, slides: Path) -> Path:
    """A slide with names of all kinds."""
    folder = tmp_path_factory.mktemp("drawn") / "prøver µ"
    shutil.copytree(slides / "s1", folder)
    (folder / "cell_0001.png").rename(folder / "żółw.png")
    (folder / "cell_0002.png").rename(folder / os.fsdecode(b"latin-\xe9.png"))
    return folder


def scanning(strange: Path) -> list[str]:
    outs = ("--out", "r.csv", "--out", "r.json", "--out", "r.html")
    return command("scan", strange, *outs)


def reports_in(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in REPORTS}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory, strange: Path) -> dict[str, bytes]:
    """The reports of a scan in ordinary surroundings."""
    folder = tmp_path_factory.mktemp("usual")
    subprocess.run(scanning(strange), cwd=folder, check=True, capture_output=True)
    return reports_in(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "redirections"),
    [
        pytest.param({}, "<&- >&- 2>&-", marks=pytest.mark.fault(CLOSED)),
        pytest.param({}, ">/dev/full 2>/dev/full", marks=pytest.mark.fault(FULL)),
        pytest.param({}, "2> >(exec true)", marks=pytest.mark.fault(FULL)),
        pytest.param(ASCII, "", marks=pytest.mark.fault(NO_LOCALE)),
        pytest.param(BARE, "</dev/null", marks=pytest.mark.fault(NO_TERMINAL)),
        pytest.param({"HOME": "/nonexistent"}, "", marks=pytest.mark.fault(NO_HOME)),
        pytest.param({"HOME": "{odd}"}, "", marks=pytest.mark.fault(NO_HOME)),
        pytest.param({"TERM": "dumb", "NO_COLOR": "1"}, "", marks=pytest.mark.fault(NO_TERMINAL)),
    ],
)
def test_surroundings_change_no_report(
    strange: Path,
    usual: dict[str, bytes],
    tmp_path: Path,
    environment: dict[str, str],
    redirections: str,
) -> None:
    odd = tmp_path / "odd"
    (odd / ".keras").mkdir(parents=True)
    (odd / ".keras/keras.json").write_text('{"image_data_format": "channels_first"}')
    (odd / ".keras").chmod(0o500)
    bare = environment if "PATH" in environment else {**os.environ, **environment}
    given = {name: value.format(odd=odd) for name, value in bare.items()}
    here = tmp_path / "here"
    here.mkdir()

    done = in_shell(["env", "-C", here, "setsid", "-w", *scanning(strange)], redirections, given)

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert reports_in(here) == usual


@pytest.mark.slow
@pytest.mark.fault(CLOSED)
def test_rows_on_stdout_hold_no_messages_where_stderr_is_closed(
    strange: Path, usual: dict[str, bytes]
) -> None:
    done = in_shell(command("scan", strange, "--out", "-"), "2>&-")

    assert done.stdout.encode() == usual["r.csv"]


@pytest.mark.slow
@pytest.mark.fault(FULL)
def test_a_real_reader_that_goes_away_ends_the_scan_in_silence(strange: Path) -> None:
    line = shlex.join(command("scan", strange, "--out", "-", "--quiet", "--batch-size", "1"))

    done = in_shell(["bash", "-c", f"{line} | head -1"], "")

    assert done.stdout.startswith("path,slide,")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.fault("two runs for the same report at once")
def test_of_runs_at_once_one_writes_the_report_and_the_others_exit_75(
    strange: Path, usual: dict[str, bytes], tmp_path: Path
) -> None:
    runs = [
        subprocess.Popen(scanning(strange), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [run.communicate()[1] for run in runs]

    assert sorted(run.returncode for run in runs) == [0, 75, 75]
    assert sum("another run is writing" in text for text in said) == 2
    assert reports_in(tmp_path) == usual
