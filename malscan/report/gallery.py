"""The chosen cells of a slide as people are shown them, on a page or on a sheet."""

from dataclasses import dataclass

from PIL import Image

from malscan.report.choice import Choice
from malscan.report.row import Row
from malscan.report.shown import shortened, shown
from malscan.report.summary import SlideSummary
from malscan.report.thumbnail import thumbnail

LONGEST_NAME = 80
LONGEST_NOTE = 160


@dataclass(frozen=True, slots=True)
class Group:
    """Cells of one kind.

    Attributes:
        title: what they have in common.
        note: how many there are, and how many are shown.
        rows: the cells.
    """

    title: str
    note: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One cell: its picture and what is written below.

    Attributes:
        name: file name.
        probability: with 4 decimals; None if the image failed.
        call: what it was called; None if it failed.
        note: why it failed, or why it cannot be shown; None if neither.
        picture: RGB; None if it cannot be shown.
    """

    name: str
    probability: str | None
    call: str | None
    note: str | None
    picture: Image.Image | None


def groups(slide: SlideSummary, choice: Choice) -> tuple[Group, ...]:
    """The chosen cells of a slide by kind; failed images only where there are some."""
    above = slide.above_threshold
    found = [
        Group("Most surely parasitized", _surest(len(choice.surest), above), choice.surest),
        Group(
            "Most doubtful",
            _doubtful(len(choice.doubtful), slide.classified - len(choice.surest), bool(above)),
            choice.doubtful,
        ),
    ]
    if slide.failed:
        note = _of(len(choice.failed), slide.failed, " image")
        found.append(Group("Could not be read", note, choice.failed))
    return tuple(found)


def _surest(some: int, above: int) -> str:
    return f"{_of(some, above) if above else 'none'} at or above the threshold"


def _doubtful(some: int, others: int, any_above: bool) -> str:
    if not some:
        return "none"
    return f"{_of(some, others, ' other' if any_above else ' cell')}, nearest the threshold first"


def tile(row: Row) -> Tile:
    """One cell; its picture is read again from the file."""
    small = thumbnail(row)
    return Tile(
        name=shortened(shown(row.path.rsplit("/", 1)[-1]), LONGEST_NAME),
        probability=None if row.probability is None else f"{row.probability:.4f}",
        call=row.call,
        note=_note(row.error or small.fault),
        picture=small.picture,
    )


def _note(reason: str | None) -> str | None:
    return None if reason is None else shortened(shown(reason), LONGEST_NOTE)


def _of(some: int, all_of_them: int, thing: str = "") -> str:
    """How many are shown of how many."""
    things = f"{thing}s" if thing and all_of_them != 1 else thing
    return f"{some:,} of {all_of_them:,}{things}" if some < all_of_them else f"{some:,}{things}"
