"""Commands that are killed at random moments and given again end as if nothing had happened."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from archives import publish, tiny_images
from conftest import command
from draw_cells import draw_cell, draw_labelled
from kills import Job, Killer
from servers import Manners, files_of, serving

from malscan.scanning.state import RUNNING, state_folder

LONG_AGO = 1_700_000_000
SCANNED = 3000
REPORTS = ("--out", "r.csv", "--out", "r.json", "--out", "r.html", "--montage", "sheets")


def put_cells(folder: Path, count: int, seed: int) -> None:
    """Many images, hard links to a few drawn cells."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        path = folder / f"{number:05}.png"
        if number < 12:
            draw_cell(rng, number % 3 == 0, size=60).save(path)
            os.utime(path, (LONG_AGO + seed, LONG_AGO + seed))
        else:
            path.hardlink_to(folder / f"{number % 12:05}.png")


def kept(report: Path) -> int:
    """Images in the state of a scan that did not come to its end."""
    file = state_folder(report) / RUNNING
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM images").fetchone()[0])
        finally:
            connection.close()
    return 0


class NothingComputedTwice:
    """What a killed scan had kept is not computed again."""

    def begin(self, folder: Path) -> None:
        self._kept = 0

    def before_again(self, folder: Path) -> None:
        self._kept = kept(folder / "r.csv")

    def after_end(self, folder: Path, said: str) -> None:
        record = json.loads((folder / "r.csv.run.json").read_text())
        assert record["reused"] >= self._kept


def scan(place: Path, *options: object) -> Job:
    put_cells(place / "cells", SCANNED, seed=1)
    (place / "cells/00007.png").unlink()
    (place / "cells/00007.png").write_bytes(b"no image")
    checks = NothingComputedTwice()
    args = ("scan", place / "cells", *REPORTS, "--batch-size", 32, "--keep-going", *options)
    return Job(args, "r.csv", checks.begin, checks.before_again, checks.after_end)


def scan_on_a_cluster(place: Path) -> Job:
    """Workers of its own, which end with the command; one shard holds a tenth of the images."""
    pytest.importorskip("distributed")
    return scan(place, "--cluster", "local:1", "--shard-size", SCANNED // 10)


def scan_update(place: Path) -> Job:
    """The second night: half of the images are as they were, the others new or changed."""
    put_cells(place / "cells", SCANNED // 2, seed=1)
    night = place / "night"
    night.mkdir()
    outs = [night / out if "." in out or out == "sheets" else out for out in REPORTS]
    args = ("scan", place / "cells", *REPORTS, "--batch-size", 32, "--update")
    first = command("scan", place / "cells", *outs, "--batch-size", 32)
    subprocess.run(first, check=True, capture_output=True)
    shutil.rmtree(place / "cells")
    put_cells(place / "cells", SCANNED // 4, seed=1)
    put_cells(place / "cells/new", SCANNED // 2, seed=2)

    checks = NothingComputedTwice()

    def begin(folder: Path) -> None:
        checks.begin(folder)
        shutil.copytree(night, folder, dirs_exist_ok=True)

    return Job(args, "r.csv", begin, checks.before_again, checks.after_end)


class Resumed:
    """A killed training goes on after its last finished epoch."""

    def begin(self, folder: Path) -> None:
        self._kept = False

    def before_again(self, folder: Path) -> None:
        self._kept = (folder / ".m.malscan/checkpoint.safetensors").exists()

    def after_end(self, folder: Path, said: str) -> None:
        assert ("Going on after epoch" in said) == self._kept


def train(place: Path) -> Job:
    checks = Resumed()
    draw_labelled(place / "cells", 8, 24, seed=6, size=24)
    shares = ("--test-share", 0.25, "--validation-share", 0.25, "--batch-size", 16)
    args = ("train", place / "cells", "--out", "m", *shares, "--epochs", 4, "--deterministic")
    done_before = "m exists already"
    return Job(args, "m", checks.begin, checks.before_again, checks.after_end, done_before)


@pytest.fixture
def fetch() -> Iterator[Callable[[Path], Job]]:
    """A fetch from a slow server, every other time from one that cannot go on within a file."""
    with serving(Manners(pause=0.02)) as server:

        def job(place: Path) -> Job:
            archive = publish(place / "served", tiny_images(patients=30, each=150))
            server.files = files_of(place / "served")

            def begin(folder: Path) -> None:
                server.ranges = not server.ranges

            args = ("fetch", ".", "--url", f"{server.url}/cell_images.zip")
            return Job((*args, "--sha256", archive.sha256), "cell_images", begin)

        yield job


def survives(make: Callable[[Path], Job], kills: int, place: Path) -> tuple[str, int]:
    """Property for the table of faults: how many kills were survived."""
    runs = place / "runs"
    runs.mkdir()
    return "tried", Killer(make(place), runs).survives(kills)


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Callable[[Path], Job]:
    if request.param == "fetch":
        found: Callable[[Path], Job] = request.getfixturevalue("fetch")
        return found
    jobs = {"scan --update": scan_update, "scan --cluster": scan_on_a_cluster}
    return {"train": train, "scan": scan, **jobs}[request.param]


KILLED = [
    pytest.param(
        name,
        id=name,
        marks=pytest.mark.fault(f"`malscan {name}`: kill -9 at a random moment, then again"),
    )
    for name in ("fetch", "train", "scan", "scan --update", "scan --cluster")
]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", KILLED, indirect=True)
def test_a_killed_command_ends_like_an_undisturbed_one(
    make: Callable[[Path], Job],
    tmp_path: Path,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    record_property(*survives(make, pytestconfig.getoption("--kills"), tmp_path))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("make", KILLED, indirect=True)
def test_a_command_killed_50_times_ends_like_an_undisturbed_one(
    make: Callable[[Path], Job],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    record_property(*survives(make, 50, tmp_path))
