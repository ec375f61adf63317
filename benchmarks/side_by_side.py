"""The same cells through the notebook's steps and through malscan: keystrokes, seconds, risk.

    python benchmarks/side_by_side.py DATA --notebook POST [--images 2000]

DATA is a folder with the class folders Parasitized and Uninfected; so many of its cells are taken,
half of each class, of patients drawn at random. POST is the text of the notebook as it was
published, with its code between fences of three backticks; its code is run as it stands, but for
the lines for the shell (download, unzip), the folder that it names, and the two cells that it
shows. Keystrokes are the characters of that code, and of malscan's commands. Each way is then
given the same cells again with one PNG cut in half.
"""

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from throughput import AS_IT_CAME

from malscan.dataset import labelled_cells
from malscan.settings import DataSettings
from malscan.walk import CellImage

CLASSES = ("Parasitized", "Uninfected")
VALIDATION_SHARE = 0.2
FOLDER_OF_POST = "/content/cell_images"
_CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SHOWN = re.compile(r"/C\d+\w*cell_\d+\.png")


@dataclass(frozen=True)
class Way:
    """Something to type.

    Attributes:
        name: what the table calls it.
        typed: all of it.
        command: runs it.
    """

    name: str
    typed: str
    command: list[str]


@dataclass(frozen=True)
class Outcome:
    """What came of it: exit code, duration in seconds, and all that it printed."""

    exit_code: int
    seconds: float
    said: str


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--notebook", type=Path, required=True, metavar="POST")
    parser.add_argument("--images", type=int, default=2000)
    args = parser.parse_args()
    post = args.notebook.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=args.data.resolve().parent) as folder:
        place = Path(folder)
        cells = place / "cell_images"
        chosen = link_cells(args.data, cells, args.images)
        seen, held_out = seen_by_the_notebook(chosen)
        print(
            f"{len(chosen)} cells of {len({cell.patient for cell in chosen})} patients; {seen} of "
            f"the notebook's {held_out} validation cells are of a patient in training"
        )
        print("way                     keystrokes  seconds  exit  one PNG cut: seconds  exit")
        for way in ways(post, place):
            whole = run(way, place)
            with one_cut(cells):
                cut = run(way, place)
            print(
                f"{way.name:24}{len(way.typed):10} {whole.seconds:8.1f} {whole.exit_code:5} "
                f"{cut.seconds:21.1f} {cut.exit_code:5}"
            )
            print(f"    last line: {last_line(whole)}\n    PNG cut:   {last_line(cut)}", flush=True)


def link_cells(source: Path, target: Path, count: int) -> list[CellImage]:
    """Hard-link cells, half of each class, of patients drawn at random; the cells."""
    cells = labelled_cells(DataSettings(source)).cells
    patients = np.random.default_rng(0).permutation(sorted({cell.patient or "" for cell in cells}))
    place = {patient: number for number, patient in enumerate(patients)}
    cells = sorted(cells, key=lambda cell: place[cell.patient or ""])
    chosen = []
    for name in CLASSES:
        (target / name).mkdir(parents=True)
        of_class = [cell for cell in cells if cell.label == name.lower()][: count // 2]
        for cell in of_class:
            (target / name / Path(cell.path).name).hardlink_to(cell.path)
        chosen += of_class
    return chosen


def seen_by_the_notebook(cells: list[CellImage]) -> tuple[int, int]:
    """Validation cells of patients who are in training, and all validation cells, by its split."""
    trained: set[str] = set()
    held_out: list[str] = []
    for name in CLASSES:
        of_class = (cell for cell in cells if cell.label == name.lower())
        by_name = sorted(of_class, key=lambda cell: Path(cell.path).name)
        cut = int(len(by_name) * VALIDATION_SHARE)
        held_out += [cell.patient or "" for cell in by_name[:cut]]
        trained.update(cell.patient or "" for cell in by_name[cut:])
    return sum(patient in trained for patient in held_out), len(held_out)


def ways(post: str, place: Path) -> Iterator[Way]:
    """What is compared; all of it runs in `place`."""
    code = "".join(without_shell(found) for found in _CODE.findall(post))
    script = place / "notebook.py"
    shown = iter(next((place / "cell_images" / name).iterdir()).name for name in CLASSES)
    runnable = _SHOWN.sub(lambda _: f"/{next(shown)}", code)
    script.write_text(runnable.replace(FOLDER_OF_POST, str(place / "cell_images")))
    yield Way("the notebook", code, [sys.executable, str(script)])
    train = "malscan train cell_images --preset notebook --save-h5 malaria.h5 --out model --force"
    scan = "malscan scan cell_images --out report.csv"
    for name, typed in (("malscan train, the same", train), ("malscan scan", scan)):
        yield Way(name, typed, [sys.executable, "-m", *shlex.split(typed)])


def without_shell(code: str) -> str:
    """Code without the lines that a notebook hands to the shell."""
    return "".join(line for line in code.splitlines(keepends=True) if not line.startswith("!"))


def run(way: Way, place: Path) -> Outcome:
    """Run a way to its end."""
    start = time.perf_counter()
    done = subprocess.run(
        way.command,
        cwd=place,
        env={**AS_IT_CAME, "MPLBACKEND": "Agg"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return Outcome(done.returncode, time.perf_counter() - start, done.stdout)


@contextmanager
def one_cut(cells: Path) -> Iterator[None]:
    """One cell cut in half, as by a copy that broke off; whole again at the end."""
    paths = sorted((cells / CLASSES[0]).iterdir())
    path = paths[len(paths) // 2]
    whole = path.read_bytes()
    # Not in place: the file is a link to one of the data.
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        yield
    finally:
        path.write_bytes(whole)


def last_line(outcome: Outcome) -> str:
    """The last words that say something, without the animation of bars."""
    lines = [line for line in re.split(r"[\r\n]+", outcome.said) if line.strip(" \b")]
    return lines[-1].strip() if lines else ""


if __name__ == "__main__":
    main()
