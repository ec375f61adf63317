"""What holds for every command: help, versions, quick answers."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from conftest import Cli

import malscan
from malscan.networks import NETWORKS
from malscan.report.formats import FORMATS
from malscan.report.names import SUFFIXES
from malscan.training.recipe import NetworkName


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["fetch", "--help"],
        ["scan", "--help"],
        ["scan", "--help-all"],
        ["evaluate", "--help"],
        ["evaluate", "nowhere"],
        ["evaluate", ".", "--min-auc", "2"],
        ["train", "--help"],
        ["fetch", "d", "--sha256", "1"],
        ["fetch", "--check", "nowhere"],
        ["scan", "--treshold", "1"],
        ["scan", "nowhere", "--out", "r.csv"],
        ["scan", ".", "--out", "r.cvs"],
        ["scan", ".", "--out", "r.csv", "--model", "nowhere"],
        ["scan", ".", "--out", "r.parquet", "--uncertain", "0.9", "0.1"],
        ["train", "nowhere", "--out", "m"],
        ["train", ".", "--out", "m", "--network", "resnet"],
    ],
)
def test_help_and_usage_errors_answer_without_loading_heavy_libraries(args: list[str]) -> None:
    program = (
        "import sys; from malscan.cli import main\n"
        f"sys.argv = ['malscan', *{args!r}]\n"
        "try: main()\n"
        "except SystemExit as stop: code = stop.code\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'pandas', 'numpy', 'pyarrow'}\n"
        "heavy &= set(sys.modules)\n"
        "print('heavy:', sorted(heavy), 'code:', code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    expected = 0 if args[-1].startswith("--help") else 2
    assert done.stdout.splitlines()[-1] == f"heavy: [] code: {expected}"


def test_version_names_program_tensorflow_and_embedded_model(cli: Cli) -> None:
    result = cli("--version")

    assert f"malscan {malscan.__version__}" in result.out
    assert f"tensorflow {version('tensorflow')}" in result.out
    assert "embedded model compact (" in result.out


def test_names_known_to_the_command_line_are_those_of_the_package() -> None:
    assert [name.value for name in NetworkName] == list(NETWORKS)
    assert tuple(FORMATS) == SUFFIXES


def test_the_tool_says_research_use_only_once(cli: Cli) -> None:
    assert cli("--help").out.lower().count("research use only") == 1
