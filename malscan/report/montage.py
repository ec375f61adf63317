"""A folder of contact sheets: one picture a slide, with the cells that are worth a look."""

import contextlib
import csv
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from malscan.atomic import publish_folder
from malscan.errors import MalscanError
from malscan.image_names import is_litter
from malscan.report.choice import SLIDES_SHOWN, Choice, choose, ranked
from malscan.report.columns import caution, percent
from malscan.report.csv import csv_lines
from malscan.report.gallery import groups, tile
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.row import Row
from malscan.report.sheet import TileGroup, draw_sheet
from malscan.report.shown import shortened, shown
from malscan.report.spool import RowSpool
from malscan.report.summary import SlideSummary, Summary

INDEX = "sheets.csv"
"""Says which sheet is of which slide, and that a folder is a montage."""
LONGEST_SLUG = 80


class Montage:
    """`--montage DIR`: written like a report, and in place as a whole or not at all."""

    def __init__(self, path: Path) -> None:
        """Make the folder beside its final place.

        Raises:
            MalscanError: it cannot be made, or would replace other things than a montage.
        """
        check_target(path)
        self._path = path
        target = Path(os.path.realpath(path))
        self._partial = target.with_name(f".{target.name}.partial")
        with _told(path):
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir()
        try:
            self._spool = RowSpool(target)
        except BaseException:
            shutil.rmtree(self._partial, ignore_errors=True)
            raise

    def write(self, rows: Sequence[Row]) -> None:
        """Take rows of consecutive images."""
        self._spool.write(rows)

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Choose the cells to show, read them again, and draw the sheets."""
        slides = [] if self._spool.empty else ranked(summary.slides)[:SLIDES_SHOWN]
        choices = choose(self._spool, (slide.slide for slide in slides), scan.threshold)
        self._spool.close()
        footer = [
            f"Model {shown(model.name)} (sha256 {model.sha256}), threshold {scan.threshold:g}.",
            "Research use only: not a diagnostic device.",
        ]
        if len(slides) < len(summary.slides):
            footer.append(
                f"There are sheets of the {len(slides):,} of {len(summary.slides):,} slides that "
                "are most surely parasitized, by the lower end of the interval."
            )
        names: dict[str, str] = {}
        with _told(self._path):
            for slide in slides:
                name = _sheet_name(slide.slide, names)
                names[name] = slide.slide
                _draw(self._partial / name, slide, choices[slide.slide], footer)
            lines = csv_lines([("sheet", "slide"), *names.items()])
            (self._partial / INDEX).write_text(lines, encoding="utf-8", newline="")

    def publish(self) -> None:
        """Put the folder in its place."""
        publish_folder(self._partial, self._path)

    def discard(self) -> None:
        """Leave nothing of an unfinished montage."""
        self._spool.close()
        shutil.rmtree(self._partial, ignore_errors=True)


def check_target(path: Path) -> None:
    """Refuse to replace anything but a montage.

    Raises:
        MalscanError: there is something else, or it cannot be looked at.
    """
    with _told(path):
        if path.is_dir():
            names = {entry.name for entry in path.iterdir() if not is_litter(entry.name)}
            if names - _own(path):
                raise MalscanError(
                    f"{path} holds other things than a montage, and would be replaced. "
                    "Name another folder."
                )
        elif path.exists():
            raise MalscanError(f"cannot write {path}: it is no folder. Name a folder.")


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what to do where the disk fails."""
    try:
        yield
    except OSError as error:
        raise MalscanError(
            f"cannot write {path}: {error.strerror or error}. Make room, or name another folder."
        ) from None


def _own(folder: Path) -> set[str]:
    """The files of a folder that a montage wrote."""
    try:
        with (folder / INDEX).open(newline="", encoding="utf-8") as file:
            return {INDEX, *(row[0] for row in csv.reader(file) if row)}
    except (OSError, UnicodeDecodeError, csv.Error):
        return set()


def _sheet_name(slide: str, taken: dict[str, str]) -> str:
    """A file name that every system takes, the same on every run.

    Where it is not simply the name of the slide, a part of its hash keeps sheets apart.
    """
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "_", slide)[:LONGEST_SLUG].strip("._-")
    # Some network drives hold names that differ in case alone for the same.
    others = {name.lower() for name in taken}
    if slug != slide or f"{slug}.png".lower() in others:
        digest = sha256(slide.encode()).hexdigest()[:10]
        slug = f"{slug}-{digest}" if slug else digest
    return f"{slug}.png"


def _draw(path: Path, slide: SlideSummary, choice: Choice, footer: Sequence[str]) -> None:
    counts = {
        "images": slide.images,
        "parasitized": slide.parasitized,
        "uncertain": slide.uncertain,
        "uninfected": slide.uninfected,
        "failed": slide.failed,
    }
    lines = [", ".join(f"{count:,} {name}" for name, count in counts.items())]
    if slide.apparent:
        share = percent(slide.apparent)
        lines.append(f"{share} apparent parasitaemia (95 % interval){caution(slide)}")
    tiles = [
        TileGroup(group.title, group.note, [tile(row) for row in group.rows])
        for group in groups(slide, choice)
    ]
    title = shortened(shown(slide.slide), 240)
    # A little larger than it could be, for half of the time.
    draw_sheet(title, lines, tiles, footer).save(path, "PNG", compress_level=3)
