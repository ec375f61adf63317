"""Kills a command at random moments, and holds what is left against an undisturbed run."""

import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from archives import tree
from conftest import command

MOST_SECONDS = 300

Left = dict[str, dict[str, bytes]]
"""What lies in a folder: for each of its entries, the bytes of all files below."""

_DATE = re.compile(rb"\b20\d\d-\d\d-\d\d\b")


def _nothing(folder: Path) -> None:
    """Checks no more."""


@dataclass(frozen=True)
class Job:
    """A command that must survive.

    Attributes:
        args: what follows `malscan`; it runs in a folder of its own.
        begin: makes the folder what it is beforehand; it exists.
        last: the entry that appears when all others have: where it is new, they are.
        before_again: called after each run, killed or not, before the command is given again.
        after_end: called with the folder and the messages when it has come to its end.
        done_before: what the command says, and exits 1, where it had ended just before the kill.
    """

    args: tuple[object, ...]
    last: str
    begin: Callable[[Path], object] = _nothing
    before_again: Callable[[Path], object] = _nothing
    after_end: Callable[[Path, str], object] = lambda folder, said: None
    done_before: str | None = None


class Killer:
    """Runs one job again and again, each time in a new folder."""

    def __init__(self, job: Job, place: Path) -> None:
        """Run the job once, undisturbed."""
        self._job = job
        self._place = place
        folder = self._new_folder()
        self._before = left_in(folder)
        start = time.monotonic()
        self._to_the_end(folder)
        self._seconds = time.monotonic() - start
        self._undisturbed = left_in(folder)
        assert self._undisturbed[job.last] != self._before.get(job.last), "nothing was done"

    def survives(self, kills: int) -> int:
        """Kill the job at so many moments; each time it is given again and must end well.

        Every other killed run is killed once more while it goes on.

        Returns:
            How many were killed before they had ended.
        """
        moments = _moments(kills, self._seconds)
        killed = 0
        while killed < kills:
            folder = self._new_folder()
            again = True
            while again:
                was_killed = self._is_killed(folder, next(moments))
                killed += was_killed
                again = was_killed and killed % 2 == 1 and killed < kills
                self._check_nothing_half(folder)
                self._job.before_again(folder)
            self._to_the_end(folder)
            assert left_in(folder) == self._undisturbed
        return killed

    def _new_folder(self) -> Path:
        folder = self._place / f"run-{len(list(self._place.iterdir())):04}"
        folder.mkdir()
        self._job.begin(folder)
        return folder

    def _is_killed(self, folder: Path, seconds: float) -> bool:
        with subprocess.Popen(
            command(*self._job.args),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return True
        return False

    def _check_nothing_half(self, folder: Path) -> None:
        """What stands under its final name is whole, and the last entry is never alone."""
        found = left_in(folder)
        for name in found.keys() & self._undisturbed.keys():
            assert found[name] in (self._before.get(name), self._undisturbed[name]), name
        if found.get(self._job.last) == self._undisturbed[self._job.last]:
            assert found.items() >= self._undisturbed.items()

    def _to_the_end(self, folder: Path) -> None:
        done = subprocess.run(
            command(*self._job.args),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=MOST_SECONDS,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if self._job.done_before is not None and self._job.done_before in done.stderr:
            assert done.returncode == 1
            return
        assert done.returncode == 0, done.stderr
        self._job.after_end(folder, done.stderr)


def left_in(folder: Path) -> Left:
    """What a command has left, but for locks, state, times and the record of the run."""
    found: Left = {}
    for name, content in tree(folder).items():
        entry = name.split("/")[0]
        if not re.fullmatch(r".*\.run\.json|\..*\.(lock|malscan)", entry):
            dated = name.endswith(("/model.json", "/MODEL_CARD.md"))
            found.setdefault(entry, {})[name] = _DATE.sub(b"DATE", content) if dated else content
    return found


def _moments(count: int, seconds: float) -> Iterator[float]:
    """Random moments, spread evenly over so many seconds."""
    chance = random.Random(count)
    while True:
        strata = list(range(count))
        chance.shuffle(strata)
        for stratum in strata:
            yield (stratum + chance.random()) / count * seconds
