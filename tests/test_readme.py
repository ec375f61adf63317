"""README tells what the program does: its commands run, its figures are those of the files."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Cli
from fault_table import NOTHING, Fault, table

from malscan.metrics import label
from malscan.model import EMBEDDED

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block_after(marker: str) -> str:
    """The first fenced block after an HTML comment."""
    found = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"README has no block {marker}"
    return found[1]


def without_timing(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if " images in " not in line]


def test_the_first_command_prints_and_writes_what_readme_shows(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = re.search(r"pip install \. && (malscan scan .*)\n", README)
    assert line
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)

    result = cli(*shlex.split(line[1])[1:])

    assert result.code == 0
    assert without_timing(result.err) == without_timing(block_after("scan"))
    shown = block_after("report").splitlines()
    written = Path("report.csv").read_text().splitlines()[: len(shown)]
    # The last digits of a measure may differ from one kind of processor to another.
    rounded = [re.sub(r"(\.\d\d)\d+", r"\1", row) for row in written]
    assert rounded == [re.sub(r"(\.\d\d)\d+", r"\1", row) for row in shown]


def test_the_figures_are_those_of_the_model() -> None:
    metadata = json.loads((EMBEDDED / "model.json").read_text())

    for name, figure in metadata["figures"].items():
        values = f"{figure['value']:.4f} | {figure['low']:.4f} to {figure['high']:.4f}"
        assert f"| {label(name)} | {values} |" in README
    assert metadata["command"] in block_after("command").replace("\\\n    ", "")


def test_the_examples_are_what_their_script_draws(tmp_path: Path) -> None:
    script = ROOT / "examples" / "draw_cells.py"

    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)

    drawn = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.png")}
    kept = {
        path.relative_to(ROOT / "examples/slides") for path in (ROOT / "examples").rglob("*.png")
    }
    assert drawn == kept
    assert len(drawn) == 60


def test_what_was_tried_to_break_it_stands_there_and_nothing_was_lost() -> None:
    found = re.search(r"<!-- faults -->\n\n((?:\|.*\n)+)", README)
    assert found
    heading, rule, *rows = found[1].splitlines()
    assert [heading, rule] == table({})
    shown = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert all(int(count.replace(",", "")) > 0 for _, count, _ in shown)
    assert {lost for _, _, lost in shown} == {NOTHING}
    assert [what for what, _, _ in shown] == sorted(what for what, _, _ in shown)


def test_the_table_counts_trials_failures_and_what_cannot_be_tried_here() -> None:
    found = {
        "b": Fault(tried=1200, failed=0, skipped=1),
        "c": Fault(tried=0, failed=0, skipped=2),
        "a": Fault(tried=3, failed=2, skipped=0),
    }

    assert table(found)[2:] == [
        "| a | 3 | 2 tests failed |",
        "| b | 1,200 | nothing |",
        "| c | 0 | not tried here |",
    ]
