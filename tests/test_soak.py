"""Full sizes, run by hand (`pytest -m soak`); results lie in benchmarks/RESULTS.md."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from draw_cells import draw_labelled

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_a_scan_of_200_000_images_needs_no_more_memory_or_time_for_each_than_one_of_20_000(
    tmp_path: Path,
) -> None:
    draw_labelled(tmp_path / "cells", 20, 500, seed=1, size=100)
    script = ROOT / "benchmarks" / "scaling.py"

    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "cells"), "--images", "20000", "200000"],
        capture_output=True,
        text=True,
        check=True,
    )

    few, many = (line.split() for line in done.stdout.splitlines()[1:])
    assert float(many[6]) <= 5.0, done.stdout
    # The start of TensorFlow weighs less on each of many, the machine's drift may weigh more.
    assert float(many[4]) <= 1.25 * float(few[4]), done.stdout
