"""What stands in the HTML report, worked out before it is laid out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from malscan import __version__
from malscan.doubt import Band
from malscan.report.choice import CELLS_SHOWN, Choice, ranked
from malscan.report.columns import COLUMNS, FILTERS, TableCell, full_bar, percent, table_cell
from malscan.report.histogram import HistogramBar, bars, ticks
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.page_gallery import Gallery, read_galleries, slide_name
from malscan.report.shown import shortened, shown
from malscan.report.summary import SlideSummary, Summary

ROWS_SHOWN = 1000
"""Slides in the table; with the longest names they take 2 MB."""
_LABELS = {
    "any_size": "Crops of any size accepted",
    "uncertain": "Doubt band",
    "min_cells": "Cells that make a slide reliable",
    "summary_only": "Summaries only",
}
LONGEST_FACT = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One slide in the table.

    Attributes:
        name: of the slide.
        anchor: where its cells are shown; None if they are not.
        cells: one for each column.
        filters: places of those filters that hold.
    """

    name: str
    anchor: str | None
    cells: tuple[TableCell, ...]
    filters: str


@dataclass(frozen=True, slots=True)
class Page:
    """Content of the page; all text is fit to be shown.

    Attributes:
        title: of the page.
        model: name of the model.
        totals: names and counts over all slides.
        estimates: names and parasitaemia over all slides.
        not_corrected: why there is no corrected parasitaemia; None if there is.
        headings: of the table.
        filters: what the table can be narrowed down to.
        lines: slides of the table.
        total: the last line of the table.
        full: what a bar of full width stands for.
        table_cap: which slides the table leaves out; None if none.
        gallery_cap: which cells the page leaves out.
        galleries: cells, slide by slide.
        bars: of the histogram; empty if no cell has a probability.
        ticks: counts and places of its lines.
        threshold: what a probability is compared with, and its place in the histogram.
        band: ends, place and width of the doubt band in the histogram; None if there is none.
        min_cells: classified cells that make a slide reliable.
        has_unlike: whether the model knows what its training cells look like.
        facts: names and values of model and settings.
    """

    title: str
    model: str
    totals: tuple[tuple[str, str], ...]
    estimates: tuple[tuple[str, str], ...]
    not_corrected: str | None
    headings: tuple[str, ...]
    filters: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Line
    full: str
    table_cap: str | None
    gallery_cap: str
    galleries: tuple[Gallery, ...]
    bars: tuple[HistogramBar, ...]
    ticks: tuple[tuple[str, str], ...]
    threshold: tuple[str, str]
    band: tuple[str, str, str] | None
    min_cells: str
    has_unlike: bool
    facts: tuple[tuple[str, str], ...]


def scan_page(
    model: ModelFacts,
    scan: ScanFacts,
    summary: Summary,
    counts: Sequence[int],
    choices: Mapping[str, Choice],
) -> Page:
    """Work out the page; reads the images that it shows.

    Args:
        model: the model.
        scan: the settings.
        summary: counts and parasitaemia.
        counts: histogram of probabilities.
        choices: for some slides, the cells to show, as long as there is room.
    """
    slides, total = ranked(summary.slides), summary.total
    galleries = read_galleries((s for s in slides if s.slide in choices), choices)
    in_table = slides[:ROWS_SHOWN]
    full = full_bar(e for one in (*in_table, total) for e in (one.apparent, one.corrected))
    drawn = any(counts)
    return Page(
        model=shown(model.name),
        title=f"Malaria scan: {_count(total.images, 'image')}, {_count(len(slides), 'slide')}",
        totals=_totals(summary),
        estimates=_estimates(total),
        not_corrected=summary.not_corrected and shown(summary.not_corrected),
        headings=tuple(column.heading for column in COLUMNS),
        filters=tuple(one.label for one in FILTERS),
        lines=tuple(_line(slide, galleries.get(slide.slide), full) for slide in in_table),
        total=_line(total, None, full),
        full=f"{100 * full:g} %",
        table_cap=_table_cap(len(in_table), len(slides)),
        gallery_cap=_gallery_cap(len(galleries), len(slides)),
        galleries=tuple(galleries.values()),
        bars=bars(counts) if drawn else (),
        ticks=ticks(counts) if drawn else (),
        threshold=(f"{scan.threshold:g}", f"{100 * scan.threshold:g}"),
        band=_band(scan.uncertain),
        min_cells=f"{scan.min_cells:,}",
        has_unlike=total.unlike is not None,
        facts=_facts(model, scan),
    )


def _totals(summary: Summary) -> tuple[tuple[str, str], ...]:
    total = summary.total
    counts = {
        "Slides": len(summary.slides),
        "Images": total.images,
        "Failed": total.failed,
        "Parasitized": total.parasitized,
        "Uncertain": total.uncertain,
        "Uninfected": total.uninfected,
    }
    return tuple((name, f"{count:,}") for name, count in counts.items())


def _estimates(slide: SlideSummary) -> tuple[tuple[str, str], ...]:
    estimates = {"Apparent": slide.apparent, "Corrected": slide.corrected}
    return tuple(
        (f"{name} parasitaemia", percent(estimate))
        for name, estimate in estimates.items()
        if estimate is not None
    )


def _band(band: Band | None) -> tuple[str, str, str] | None:
    if band is None:
        return None
    low, high = band
    return f"from {low:g} to below {high:g}", f"{100 * low:g}", f"{100 * (high - low):g}"


def _line(slide: SlideSummary, gallery: Gallery | None, full: float) -> Line:
    return Line(
        name=slide_name(slide),
        anchor=gallery.anchor if gallery else None,
        cells=tuple(table_cell(column.value(slide), full) for column in COLUMNS),
        filters=" ".join(str(n) for n, one in enumerate(FILTERS) if one.holds(slide)),
    )


def _table_cap(some: int, slides: int) -> str | None:
    if some == slides:
        return None
    return f"The table holds only the {some:,} of {slides:,} slides that come first in this order."


def _gallery_cap(some: int, slides: int) -> str:
    if slides and not some:
        return "No cells are shown, since the scan was asked for summaries only."
    each = f"At most {CELLS_SHOWN} cells of each kind are shown"
    if some == slides:
        return f"{each}."
    return f"{each}, of the {some:,} slides that come first in this order out of {slides:,}."


def _facts(model: ModelFacts, scan: ScanFacts) -> tuple[tuple[str, str], ...]:
    """Whatever the records hold, also what they may come to hold."""
    facts = {
        "Model": model.name,
        "Model sha256": model.sha256,
        "Network": model.network,
        "Assumed of the model": "; ".join(model.assumed) or None,
    }
    for field in fields(scan):
        label = _LABELS.get(field.name, field.name.replace("_", " ").capitalize())
        facts[label] = _setting(getattr(scan, field.name))
    facts["malscan"] = __version__
    return tuple(
        (name, shortened(shown(value), LONGEST_FACT))
        for name, value in facts.items()
        if value is not None
    )


def _setting(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " to ".join(f"{part:g}" for part in value)
    return value if value is None else str(value)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
