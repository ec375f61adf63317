"""One contact sheet: the chosen cells of a slide as a picture."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from malscan.report.gallery import Tile
from malscan.report.shown import escaped

WIDTH = 1000
"""Width of a sheet in pixels."""

_MARGIN, _GAP, _COLUMNS = 24, 14, 6
_TILE = (WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) // _COLUMNS
_PICTURE = 128
_GROUND, _INK, _SOFT, _BAD, _EMPTY = "#ffffff", "#1b1f24", "#525b66", "#a3190f", "#eef1f4"
_SMALL, _NORMAL, _LARGE = 12, 14, 20
_SPACING = 1.35


@dataclass(frozen=True, slots=True)
class TileGroup:
    """Cells of one kind, and what is said of them."""

    title: str
    note: str
    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class _Text:
    """One line of text: what, how large in pixels, which colour, and whether bold."""

    text: str
    size: int = _SMALL
    colour: str = _INK
    bold: bool = False

    @property
    def height(self) -> int:
        return round(self.size * _SPACING)


def draw_sheet(
    title: str, lines: Sequence[str], groups: Iterable[TileGroup], footer: Sequence[str]
) -> Image.Image:
    """Draw a sheet.

    Args:
        title: name of the slide.
        lines: what is said below it.
        groups: the cells.
        footer: what stands at the end.

    Returns:
        An RGB picture, `WIDTH` pixels wide and as high as it takes.
    """
    paper = _Paper()
    paper.texts([_Text(part, _LARGE, bold=True) for part in _wrapped(title, _LARGE, True, 3)])
    paper.texts([_Text(part, _NORMAL) for line in lines for part in _wrapped(line, _NORMAL)])
    for group in groups:
        paper.skip(_GAP)
        paper.texts([_Text(group.title, _NORMAL, bold=True), _Text(group.note, colour=_SOFT)])
        for start in range(0, len(group.tiles), _COLUMNS):
            paper.skip(_GAP // 2)
            paper.row([_Labelled.of(tile) for tile in group.tiles[start : start + _COLUMNS]])
    paper.skip(_GAP)
    paper.texts([_Text(part, colour=_SOFT) for line in footer for part in _wrapped(line, _SMALL)])
    return paper.picture()


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A picture with the lines below it."""

    picture: Image.Image | None
    texts: list[_Text]

    @classmethod
    def of(cls, tile: Tile) -> "_Labelled":
        texts = []
        if tile.probability is not None:
            texts.append(_Text(f"{tile.probability} {tile.call}", bold=True))
        texts += [_Text(part) for part in _wrapped(tile.name, _SMALL, width=_TILE, most=4)]
        if tile.note:
            note = _wrapped(tile.note, _SMALL, width=_TILE, most=5)
            texts += [_Text(part, colour=_BAD) for part in note]
        return cls(tile.picture, texts)


class _Paper:
    """Grows downwards: what to draw is noted first, since the height comes out last."""

    def __init__(self) -> None:
        self._y = _MARGIN
        self._texts: list[tuple[int, int, _Text]] = []
        self._pictures: list[tuple[int, int, Image.Image | None]] = []

    def skip(self, height: int) -> None:
        self._y += height

    def texts(self, texts: Iterable[_Text]) -> None:
        self._y = self._column(_MARGIN, self._y, texts)

    def row(self, cells: Iterable[_Labelled]) -> None:
        bottom = self._y
        for column, cell in enumerate(cells):
            x = _MARGIN + column * (_TILE + _GAP)
            self._pictures.append((x, self._y, cell.picture))
            bottom = max(bottom, self._column(x, self._y + _PICTURE + 4, cell.texts))
        self._y = bottom

    def picture(self) -> Image.Image:
        paper = Image.new("RGB", (WIDTH, self._y + _MARGIN), _GROUND)
        draw = ImageDraw.Draw(paper)
        for x, y, picture in self._pictures:
            ground = "black" if picture else _EMPTY
            draw.rectangle((x, y, x + _PICTURE - 1, y + _PICTURE - 1), ground)
            if picture:
                left, top = (_PICTURE - picture.width) // 2, (_PICTURE - picture.height) // 2
                paper.paste(picture, (x + left, y + top))
            else:
                middle = (x + _PICTURE // 2, y + _PICTURE // 2)
                draw.text(middle, "no picture", _SOFT, _font(_SMALL, False), anchor="mm")
        for x, y, text in self._texts:
            draw.text((x, y), text.text, text.colour, _font(text.size, text.bold))
        return paper

    def _column(self, x: int, y: int, texts: Iterable[_Text]) -> int:
        for text in texts:
            self._texts.append((x, y, text))
            y += text.height
        return y


def _wrapped(
    text: str, size: int, bold: bool = False, most: int = 9, width: int = WIDTH - 2 * _MARGIN
) -> list[str]:
    """Break text into lines, at blanks or else where the line is full; at most some lines."""
    font = _font(size, bold)
    words = _drawable(text)
    lines: list[str] = []
    while words and len(lines) < most:
        ends = range(1, min(len(words), width) + 1)
        fitting = bisect_right(ends, width, key=lambda end: ceil(font.getlength(words[:end])))
        end = max(fitting, 1)
        blank = words.rfind(" ", 0, end)
        cut = blank if end < len(words) and blank > 0 else end
        lines.append(words[:cut])
        words = words[cut:].lstrip()
    if words:
        lines[-1] = f"{lines[-1][:-1]}…"
    return lines


def _drawable(text: str) -> str:
    """Text in which characters that the font lacks stand by their number."""
    known = _known_characters()
    return "".join(sign if ord(sign) in known else escaped(sign) for sign in text)


# DejaVu comes with matplotlib: the same letters on every machine, so the same bytes.
def _font_file(bold: bool) -> Path:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(matplotlib.get_data_path(), "fonts", "ttf", name)


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_file(bold), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _known_characters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset.intersection(
        *(frozenset(FT2Font(str(_font_file(bold))).get_charmap()) for bold in (False, True))
    )
