"""Full sizes, run by hand (`pytest -m soak`); results lie in benchmarks/RESULTS.md."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from draw_cells import draw_labelled

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_a_scan_of_20_000_images_needs_hardly_more_memory_than_one_of_5_000(
    tmp_path: Path,
) -> None:
    draw_labelled(tmp_path / "cells", 20, 500, seed=1, size=100)
    script = ROOT / "benchmarks" / "memory.py"

    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "cells"), "--images", "5000", "20000"],
        capture_output=True,
        text=True,
        check=True,
    )

    growth = [float(value) for value in re.findall(r"([+-][\d.]+) %", done.stdout)]
    assert len(growth) == 2
    assert growth[1] <= 5.0, done.stdout
