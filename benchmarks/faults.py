"""What was tried to break malscan, how often, and what was lost: the table of README.

    python benchmarks/faults.py [--kills 5] [--workers 2]

Runs the tests that are marked `fault`, also the slow ones, and prints a Markdown table. A failed
test is counted as a loss, and makes the exit code 1. What this machine cannot try (a full disk
takes the right to mount one) is left out of the count, and the table says so where nothing is
left.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the tests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5, help="kills of each command")
    parser.add_argument("--workers", type=int, default=2, help="tests at a time")
    args = parser.parse_args()
    chosen = ["-m", "fault and not soak", "-n", str(args.workers)]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            *chosen,
            "--kills",
            str(args.kills),
            "--fault-table",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    print("\n".join(rows))
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
