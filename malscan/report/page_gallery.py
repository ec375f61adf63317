"""The cells that a page shows, slide by slide, as long as there is room."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from malscan.report.choice import Choice
from malscan.report.columns import caution, percent
from malscan.report.gallery import groups, tile
from malscan.report.row import Row
from malscan.report.shown import shortened, shown
from malscan.report.summary import SlideSummary
from malscan.report.thumbnail import webp

ROOM_FOR_CELLS = 7_500_000
"""Bytes that the cells of all slides may take, so that a page stays below 10 MB."""
LONGEST_NAME = 120

_MARKUP = 300
"""More bytes than the elements around picture and texts of one cell, or one heading, take."""
_ESCAPED = 5
"""Bytes that a character takes at most in a page, as `&#34;` does."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell image: its picture in base64 with width and height, and what is written below."""

    name: str
    probability: str | None
    call: str | None
    note: str | None
    picture: str | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CellGroup:
    """Cells of one kind."""

    title: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """The cells of one slide that are worth a look."""

    anchor: str
    name: str
    estimate: str | None
    groups: tuple[CellGroup, ...]


def read_galleries(
    slides: Iterable[SlideSummary], choices: Mapping[str, Choice]
) -> dict[str, Gallery]:
    """Read the chosen cells of slides, until `ROOM_FOR_CELLS` is full.

    Args:
        slides: slides in the order in which they are shown.
        choices: the cells to show of each of them.

    Returns:
        Cells by the name of the slide, in the same order; the slides for which there was no
        more room are missing.
    """
    galleries: dict[str, Gallery] = {}
    room = ROOM_FOR_CELLS
    for number, slide in enumerate(slides, 1):
        gallery = _gallery(slide, f"s{number}", choices[slide.slide])
        room -= _weight(gallery)
        if room < 0:
            break
        galleries[slide.slide] = gallery
    return galleries


def slide_name(slide: SlideSummary) -> str:
    """The name of a slide as a page shows it."""
    return shortened(shown(slide.slide), LONGEST_NAME)


def _gallery(slide: SlideSummary, anchor: str, choice: Choice) -> Gallery:
    estimate = None
    if slide.apparent:
        estimate = f"{percent(slide.apparent)} apparent parasitaemia{caution(slide)}"
    shown_groups = (
        CellGroup(group.title, group.note, tuple(_cell(row) for row in group.rows))
        for group in groups(slide, choice)
    )
    return Gallery(anchor, slide_name(slide), estimate, tuple(shown_groups))


def _cell(row: Row) -> Cell:
    found = tile(row)
    picture = found.picture
    width, height = picture.size if picture else (0, 0)
    data = b64encode(webp(picture)).decode("ascii") if picture else None
    return Cell(found.name, found.probability, found.call, found.note, data, width, height)


def _weight(gallery: Gallery) -> int:
    """Bytes that the cells of a slide take in a page, rather more than less."""
    cells = [cell for group in gallery.groups for cell in group.cells]
    texts = sum(len(cell.name) + len(cell.note or "") for cell in cells) + len(gallery.name)
    pictures = sum(len(cell.picture or "") for cell in cells)
    return pictures + _ESCAPED * texts + _MARKUP * (len(cells) + len(gallery.groups) + 2)
