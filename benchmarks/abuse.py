"""Scans thousands of damaged files and holds the report against strict decoders.

    PYTHONPATH=examples python benchmarks/abuse.py [--files 10000] [--seed 0] [--keep DIR]

The files are drawn cells, encoded in every common way and then damaged (`benchmarks/damaged`). One
`malscan scan`, in a process of its own, reads them all. For each kind of damage the table says how
many files were refused and how many got a probability; `missed` are those that got one though a
strict decoder refuses them, and must be 0. `lost` are PNG and JPEG that a strict decoder takes and
malscan refused for another reason than its own rules (one frame, size, sampling, last scan). The
exit code is 1 if anything is missed, a row is missing, or the scan ended by itself.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from damaged.corpus import Specimen, specimens, write
from damaged.strict import fault_of

OWN_RULES = (
    *("several frames", "not a single-cell crop", "over 50 megapixels", "sampled in a way"),
    "before its last scan",
)
"""Reasons that are no damage in the eyes of a decoder."""
SOME_UNREADABLE = 3


@dataclass
class Tally:
    """What became of the files of one kind of damage."""

    files: int = 0
    refused: int = 0
    scored: int = 0
    missed: int = 0
    lost: int = 0

    def add(self, specimen: Specimen, error: str | None) -> None:
        """Count one file; `error` is why it was refused, None if it got a probability."""
        fault = fault_of(specimen.data)
        to_the_last_bit = specimen.data.startswith((b"\x89PNG", b"\xff\xd8"))
        self.files += 1
        self.refused += error is not None
        self.scored += error is None
        self.missed += error is None and fault is not None
        own_rule = error is not None and any(rule in error for rule in OWN_RULES)
        self.lost += error is not None and fault is None and to_the_last_bit and not own_rule


@dataclass(frozen=True)
class Scan:
    """One scan of the corpus: its rows by path, how it ended, and what it took."""

    rows: dict[str, dict[str, str]]
    exit_code: int
    seconds: float
    peak_mib: float


def main() -> int:
    """Make the files, scan them, judge, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder to leave files and report in")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = args.keep or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        found = list(write(specimens(args.files, args.seed), work / "corpus"))
        scan = scanned(work)
        tallies = tallied(found, scan.rows)
    total = print_table(tallies)
    print(
        f"\n{len(found)} files (seed {args.seed}), {len(scan.rows)} rows, exit code "
        f"{scan.exit_code}, {scan.seconds:.0f} s, peak {scan.peak_mib:.0f} MiB"
    )
    whole = len(scan.rows) == len(found) and scan.exit_code == SOME_UNREADABLE
    return 0 if whole and not total.missed else 1


def scanned(work: Path) -> Scan:
    """Scan the corpus below a folder by the command that a user would type."""
    report = work / "report.csv"
    command = [sys.executable, "-m", "malscan", "scan", "corpus", "--out", str(report), "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=work)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return Scan(rows_of(report), process.returncode, seconds, usage.ru_maxrss / 1024)


def rows_of(report: Path) -> dict[str, dict[str, str]]:
    """The rows of a CSV report by path below the corpus."""
    if not report.exists():
        return {}
    with report.open(newline="", encoding="utf-8") as file:
        return {row["path"].removeprefix("corpus/"): row for row in csv.DictReader(file)}


def tallied(found: list[Specimen], rows: dict[str, dict[str, str]]) -> dict[str, Tally]:
    """Counts by kind of damage; a file without row counts as missed by nobody and shows above."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for specimen in found:
        row = rows.get(specimen.path)
        if row is not None:
            tallies[specimen.damage].add(specimen, row["error"] or None)
    return tallies


def print_table(tallies: dict[str, Tally]) -> Tally:
    """Print the counts and give their sum."""
    total = Tally()
    print(f"{'damage':44} {'files':>6} {'refused':>8} {'scored':>7} {'missed':>7} {'lost':>5}")
    for name, one in [*sorted(tallies.items()), ("TOTAL", total)]:
        print(f"{name:44} {one.files:6} {one.refused:8} {one.scored:7} {one.missed:7} {one.lost:5}")
        if one is not total:
            for field, count in vars(one).items():
                setattr(total, field, getattr(total, field) + count)
    return total


if __name__ == "__main__":
    sys.exit(main())
