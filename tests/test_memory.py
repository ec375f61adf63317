"""Modules that were loaded are not looked through for garbage."""

import subprocess
import sys

import pytest

LOADING = """
import gc, sys
from malscan.memory import loading_tensorflow
{before}
try:
    with loading_tensorflow():
        during = gc.isenabled()
        {load}
except ImportError:
    pass
print(during, gc.isenabled(), gc.get_freeze_count() > 0)
"""


def collecting(before: str = "", load: str = "import json") -> list[str]:
    """Whether garbage is looked for while modules load and after, and whether they are kept out."""
    program = LOADING.format(before=before, load=load)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return run.stdout.split()


@pytest.mark.parametrize("load", ["import json", "import no_such_module"])
def test_only_while_loading_no_garbage_is_looked_for(load: str) -> None:
    assert collecting(load=load) == ["False", "True", "True"]


def test_where_tensorflow_is_loaded_what_else_is_in_memory_stays_as_it_is() -> None:
    before = "sys.modules['tensorflow'] = sys"
    assert collecting(before) == ["True", "True", "False"]


def test_who_looks_for_no_garbage_is_not_made_to() -> None:
    assert collecting("gc.disable()") == ["False", "False", "False"]
