"""What native code writes to stderr is hidden, what Python writes is not."""

import subprocess
import sys

AROUND = """
import os, sys
from malscan.quiet import native_output_hidden

def both(when):
    print("python", when, file=sys.stderr)
    sys.stderr.flush()
    os.write(2, f"native {when}\\n".encode())

both("before")
try:
    with native_output_hidden(%s):
        both("inside")
        %s
except RuntimeError:
    pass
both("after")
"""

LEAKS = """
import os
from malscan.quiet import native_output_hidden

before = os.listdir("/proc/self/fd")
for _ in range(3):
    with native_output_hidden():
        pass
print(len(os.listdir("/proc/self/fd")) - len(before))
"""

NESTED = """
import os, sys
from malscan.quiet import native_output_hidden

with native_output_hidden():
    with native_output_hidden():
        pass
    print("python", file=sys.stderr)
    os.write(2, b"native\\n")
"""

AFTER_ITS_END = """
import sys
stderr = sys.stderr
from malscan.quiet import native_output_hidden
with native_output_hidden():
    pass
print(sys.stderr is stderr)
"""

WITHOUT_STDERR = """
from malscan.quiet import native_output_hidden
with native_output_hidden():
    print("worked")
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )


def stderr_lines(hidden: str, then: str) -> list[str]:
    return run(AROUND % (hidden, then)).stderr.splitlines()


def test_only_native_output_inside_is_hidden() -> None:
    assert stderr_lines("", "pass") == [
        *("python before", "native before"),
        "python inside",
        *("python after", "native after"),
    ]


def test_everything_is_as_before_after_an_exception() -> None:
    assert stderr_lines("", "raise RuntimeError") == [
        *("python before", "native before"),
        "python inside",
        *("python after", "native after"),
    ]


def test_nothing_is_hidden_where_that_is_not_wanted() -> None:
    assert stderr_lines("False", "pass") == [
        f"{who} {when}" for when in ("before", "inside", "after") for who in ("python", "native")
    ]


def test_an_inner_context_does_not_end_the_outer_one() -> None:
    assert run(NESTED).stderr == "python\n"


def test_the_very_same_stderr_is_back_afterwards() -> None:
    assert run(AFTER_ITS_END).stdout == "True\n"


def test_no_file_stays_open() -> None:
    assert run(LEAKS).stdout == "0\n"


def test_it_works_where_stderr_is_closed() -> None:
    shell = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, WITHOUT_STDERR]
    assert subprocess.run(shell, stdout=subprocess.PIPE, text=True).stdout == "worked\n"
