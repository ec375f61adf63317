"""Help fits a screen and tells everything on request; shells complete; errors name near misses."""

import re
import shlex
import subprocess
import sys
from enum import Enum
from pathlib import Path

import pytest
import typer
from conftest import Cli

from malscan.cli.app import app
from malscan.cli.help import Command

SCREEN = 52
"""Lines of 80 columns that a help may have, blank ones at its ends included."""
PROGRAM = typer.main.get_command(app)
COMMANDS = ("fetch", "train", "evaluate", "scan")


def command_of(name: str) -> Command:
    command = PROGRAM.commands[name]  # type: ignore[attr-defined]
    assert isinstance(command, Command)
    return command


def options_of(name: str) -> dict[str, object]:
    params = command_of(name).params
    return {param.opts[0]: param for param in params if param.opts[0].startswith("--")}


@pytest.fixture(autouse=True)
def terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


def examples(text: str) -> list[str]:
    return re.findall(r"^ {3}(malscan .*?) *$", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_fits_a_screen(cli: Cli, name: str) -> None:
    lines = cli(*name.split(), "--help").out.splitlines()

    assert len(lines) <= SCREEN, "declare options that everyday work does without as hidden=True"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_what_the_help_leaves_out_is_counted_and_shown_by_help_all(cli: Cli, name: str) -> None:
    short, whole = cli(name, "--help").out, cli(name, "--help-all").out
    named = [set(re.findall(r"(?<![\w-])--[a-z0-9-]+", text)) for text in (short, whole)]

    assert set(options_of(name)) <= named[1]
    left_out = set(options_of(name)) - named[0]
    told = re.search(rf"(\d+) more options: malscan {name} --help-all", short)
    assert (int(told[1]) if told else 0) == len(left_out)
    assert "more options" not in whole


def test_everyday_options_are_in_the_short_help(cli: Cli) -> None:
    short = cli("scan", "--help").out

    assert all(name in short for name in ("--out", "--model", "--threshold", "--update"))
    assert "--stall-timeout" not in short


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_examples_keep_their_lines_and_are_understood(cli: Cli, name: str) -> None:
    lines = examples(cli(*name.split(), "--help").out)

    assert len(lines) >= 3
    for line in lines:
        _, command, *args = shlex.split(line)
        command_of(command).make_context(command, args)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained_with_its_choices(name: str) -> None:
    for option, param in options_of(name).items():
        text = str(getattr(param, "help", ""))
        assert re.fullmatch(r".{8,}\.", text), f"{option}: {text}"
        annotation = param.type_descriptor.annotation  # type: ignore[attr-defined]
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            metavar = getattr(param, "metavar", None)
            shown = [metavar is None or choice.value in text + metavar for choice in annotation]
            assert all(shown) or option == "--class-order", option


class TestNearMisses:
    @pytest.mark.parametrize(
        ("line", "meant"),
        [
            ("scan --treshold 1", "Did you mean --threshold?"),
            ("scn slides", "Did you mean 'scan'?"),
            ("slides --out r.csv", "Did you mean malscan scan slides?"),
            ("train slides --out m --network compat", "Did you mean compact?"),
            ("train slides --out m --cache dsk", "Did you mean disk?"),
            ("train slides --out m --from embeded", "Did you mean embedded?"),
            ("train slidse --out m", "Did you mean slides?"),
            ("scan slides/dya-1 --out r.csv", "Did you mean slides/day-1?"),
            ("scan slides --out report.cvs", "Did you mean report.csv?"),
            ("scan slides --out report.HTM", "Did you mean report.html?"),
        ],
    )
    def test_a_mistyped_word_is_told_with_what_was_meant(
        self, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, meant: str
    ) -> None:
        (tmp_path / "slides/day-1").mkdir(parents=True)
        monkeypatch.chdir(tmp_path)

        result = cli(*line.split())

        assert result.code == 2
        assert meant in re.sub(r"[│\s]+", " ", result.err)

    @pytest.mark.parametrize("line", ["scan --zzz 1", "zzz", "scan slides --out report.zzz"])
    def test_nothing_is_suggested_where_nothing_is_near(
        self, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
    ) -> None:
        (tmp_path / "slides").mkdir()
        monkeypatch.chdir(tmp_path)

        result = cli(*line.split())

        assert result.code == 2
        assert "Did you mean" not in result.err


class TestCompletion:
    @staticmethod
    def complete(cli: Cli, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
        monkeypatch.setenv("_MALSCAN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        return cli().out.split()

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("malscan ev", ["evaluate"]),
            ("malscan scan --thr", ["--threshold"]),
            ("malscan scan --stall", ["--stall-timeout"]),
            ("malscan train --cache ", ["auto", "memory", "disk", "none"]),
            ("malscan scan --resize-kernel p", ["pillow-nearest"]),
            ("malscan scan --out report.j", ["report.json", "report.jsonl"]),
            ("malscan scan --out repo", []),
            ("malscan train --from emb", ["embedded"]),
            ("malscan scan --model emb", ["embedded"]),
        ],
    )
    def test_words_are_completed(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch, line: str, words: list[str]
    ) -> None:
        assert self.complete(cli, monkeypatch, line) == words

    def test_bash_completes_once_the_completion_is_installed(self, tmp_path: Path) -> None:
        (tmp_path / "malscan").write_text(f'#!/bin/sh\nexec {sys.executable} -m malscan "$@"\n')
        (tmp_path / "malscan").chmod(0o755)
        script = (
            'malscan --install-completion >&2; . "$HOME/.bash_completions/malscan.sh"\n'
            "COMP_WORDS=(malscan train --spl); COMP_CWORD=2; _malscan_completion malscan\n"
            'echo "${COMPREPLY[@]}"; complete -p malscan'
        )

        done = subprocess.run(
            ["bash", "-c", script],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout.splitlines()[0].split() == ["--split", "--split-file"]
        assert "_malscan_completion malscan" in done.stdout
