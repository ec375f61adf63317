"""What people see of a scan on stderr: progress bar, summary table, warnings."""

import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from malscan.cli.console import RESEARCH_USE, console
from malscan.cli.logs import SHOWN
from malscan.parasitaemia import Estimate
from malscan.report.choice import SLIDES_SHOWN as SHEETS_DRAWN
from malscan.report.row import Row
from malscan.report.shown import shown
from malscan.report.summary import SlideSummary
from malscan.scan import ScanResult
from malscan.scanning.counts import Counts
from malscan.scanning.listener import Progress

SLIDES_SHOWN = 30

_log = logging.getLogger(__name__)


class ScanBar:
    """Progress of a scan: images, rate, and time left once the walk has ended."""

    def __init__(self, shown: bool) -> None:
        self._bar = tqdm(unit=" images", disable=not shown, file=sys.stderr, dynamic_ncols=True)

    def __call__(self, progress: Progress) -> None:
        """Show how far the scan is."""
        if progress.total is not None:
            self._bar.total = progress.total
        if progress.failed:
            self._bar.set_postfix(failed=progress.failed, refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def message(self, text: str) -> None:
        """Print a line, above the bar."""
        tqdm.write(shown(text), file=sys.stderr)

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()


def print_scan(result: ScanResult, outs: Iterable[str], montage: Path | None) -> None:
    """Print summary table, warnings and where the reports are."""
    out = console()
    out.print(_summary_table(result))
    if not all(slide.reliable for slide in (*result.summary.slides, result.summary.total)):
        out.print(
            f"* under {result.min_cells:,} classified cells: parasitaemia unreliable (--min-cells)."
        )
    if result.summary.not_corrected:
        out.print(f"No corrected parasitaemia: {result.summary.not_corrected}.", markup=False)
    for warning in warnings_of(result):
        out.print(shown(f"Warning: {warning}"), markup=False)
    _print_rows(out, result.counts.failures, result.counts.unreadable)
    for note in result.notes:
        out.print(shown(f"Note: {note}"), markup=False)
    if result.counts.unsettled:
        out.print(f"{unsettled_in_words(result.counts)}:")
        _print_rows(out, result.counts.left, result.counts.unsettled)
    out.print(f"{rate_in_words(result)}.")
    if result.counts.reused:
        out.print(f"{result.counts.reused} of them were known from an earlier run.")
    if result.skipped:
        out.print(f"{result.skipped} other files were passed over.")
    out.print(shown(f"Wrote {', '.join(outs)}"), markup=False)
    if montage is not None:
        sheets = _sheets(len(result.summary.slides))
        out.print(shown(f"Wrote {montage}: {sheets}"), markup=False)
    out.print(RESEARCH_USE)


def _sheets(slides: int) -> str:
    if slides <= SHEETS_DRAWN:
        return f"contact sheets of {slides} slides"
    return f"contact sheets of the {SHEETS_DRAWN} most surely parasitized of {slides:,} slides"


def log_scan(result: ScanResult, outs: Iterable[str]) -> None:
    """Log what `print_scan` prints, in words."""
    for warning in warnings_of(result):
        _log.warning("%s", warning, extra=SHOWN)
    for note in result.notes:
        _log.info("%s", note, extra=SHOWN)
    if result.counts.unsettled:
        _log.info("%s", unsettled_in_words(result.counts), extra=SHOWN)
    counts, total = result.counts, result.summary.total
    _log.info(
        "%s, %d failed, %d reused, %d slides; %d parasitized, %d uninfected, %d uncertain",
        *(rate_in_words(result), counts.unreadable, counts.reused, len(result.summary.slides)),
        *(total.parasitized, total.uninfected, total.uncertain),
        extra=SHOWN,
    )
    _log.info("wrote %s", ", ".join(outs), extra=SHOWN)


def warnings_of(result: ScanResult) -> list[str]:
    """What the user must know before the figures are used, with the slides that it is about."""
    assumed = [f"assumed: {'; '.join(result.model.assumed)}."] if result.model.assumed else []
    grey = [
        f"slide {slide}: {count} images without colour; the model was trained on stained cells in "
        "colour."
        for slide, count in sorted(result.counts.grey.items())
    ]
    failed = [
        f"slide {slide}: {count} images could not be read; the report says why."
        for slide, count in result.counts.unreadable_by_slide.items()
    ]
    unlike = [
        f"slide {slide.slide}: its cells are unlike those the model was trained on (unlike "
        f"{slide.unlike:.2f}, expected below {slide.unlike_limit:.2f}): check stain, focus and "
        "cut-outs before you rely on its figures."
        for slide in result.summary.slides
        if slide.unlike_warning
    ]
    return [
        *assumed,
        *_first(grey, "without colour"),
        *_first(unlike, "of unlike cells"),
        *_first(failed, "with failed images"),
    ]


def unsettled_in_words(counts: Counts) -> str:
    """How many images are left for the next run."""
    return f"{counts.unsettled} images had just been changed and are left for the next run"


def rate_in_words(result: ScanResult) -> str:
    """How many images, how fast."""
    images = result.counts.done
    rate = images / max(result.seconds, 1e-9)
    return f"{images} images in {result.seconds:.1f} s ({rate:.0f}/s)"


def _first(warnings: list[str], what: str) -> list[str]:
    more = len(warnings) - SLIDES_SHOWN
    return [*warnings[:SLIDES_SHOWN], *([f"{more} more slides {what}."] if more > 0 else [])]


def _print_rows(out: Console, rows: list[Row], count: int) -> None:
    for row in rows:
        out.print(shown(f"  {row.path}: {row.error}"), markup=False)
    if count > len(rows):
        out.print("  ...")


def _summary_table(result: ScanResult) -> Table:
    title = f"Model {escape(shown(result.model.name))}, threshold {result.threshold:g}"
    if result.uncertain is not None:
        title += ", uncertain from {:g} to {:g}".format(*result.uncertain)
    table = Table(
        title=title,
        caption="parasitaemia: % of classified cells (95 % interval)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("slide", overflow="fold", min_width=8)
    headings = ["images", "failed", "para-\nsitized", "un-\ninfected"]
    if result.uncertain is not None:
        headings.append("un-\ncertain")
    for heading in headings:
        # Folded, a narrow terminal still shows every digit.
        table.add_column(heading, justify="right", overflow="fold", min_width=4)
    for heading in ("apparent\nparasitaemia", "corrected\nparasitaemia"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=12, overflow="fold")
    slides = result.summary.slides
    for slide in slides[:SLIDES_SHOWN]:
        table.add_row(*_cells(slide, result))
    if len(slides) > SLIDES_SHOWN:
        table.add_row(f"... {len(slides) - SLIDES_SHOWN} more slides in the report")
    table.add_section()
    table.add_row(*_cells(result.summary.total, result), style="bold")
    return table


def _cells(slide: SlideSummary, result: ScanResult) -> tuple[str, ...]:
    counts = [slide.images, slide.failed, slide.parasitized, slide.uninfected]
    if result.uncertain is not None:
        counts.append(slide.uncertain)
    return (
        escape(shown(slide.slide)) if slide.reliable else f"{escape(shown(slide.slide))} *",
        *(str(count) for count in counts),
        _percent(slide.apparent),
        _percent(slide.corrected),
    )


def _percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    value, low, high = (100 * x for x in (estimate.value, estimate.low, estimate.high))
    return f"{value:.1f} ({low:.1f}-{high:.1f})"
