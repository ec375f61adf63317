"""The reference of commands and options is what the program says."""

import subprocess
import sys

from conftest import ROOT


def test_the_reference_is_up_to_date() -> None:
    script = ROOT / ".docs/reference.py"

    made = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True
    ).stdout

    kept = (ROOT / ".docs/reference.md").read_text(encoding="utf-8")
    assert made == kept, "run: python .docs/reference.py > .docs/reference.md"
