"""What people see of a scan on stderr: progress bar, summary table, warnings."""

import sys
from collections.abc import Iterable, Iterator

from rich import box
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from malscan.cli.console import RESEARCH_USE, console
from malscan.parasitaemia import Estimate
from malscan.report.summary import SlideSummary
from malscan.scan import Progress, ScanResult

SLIDES_SHOWN = 30


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

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()


def print_scan(result: ScanResult, outs: Iterable[str]) -> None:
    """Print summary table, warnings and where the reports are."""
    out = console()
    out.print(_summary_table(result))
    if result.summary.not_corrected:
        out.print(f"No corrected parasitaemia: {result.summary.not_corrected}.", markup=False)
    if result.model.assumed:
        out.print(f"Warning: assumed: {'; '.join(result.model.assumed)}.", markup=False)
    for note in result.notes:
        out.print(f"Note: {note}", markup=False)
    for slide, count in sorted(result.grey.items())[:SLIDES_SHOWN]:
        out.print(
            f"Warning: {slide}: {count} images without colour; the model was trained on stained "
            "cells in colour.",
            markup=False,
        )
    for line in _unlike_warnings(result):
        out.print(line, markup=False)
    if failed := result.summary.total.failed:
        out.print(f"Warning: {failed} images could not be read; the report says why:")
        for row in result.failures:
            out.print(f"  {row.path}: {row.error}", markup=False)
        if failed > len(result.failures):
            out.print("  ...")
    rate = result.summary.total.images / max(result.seconds, 1e-9)
    out.print(f"{result.summary.total.images} images in {result.seconds:.1f} s ({rate:.0f}/s).")
    if result.skipped:
        out.print(f"{result.skipped} other files were passed over.")
    out.print(f"Wrote {', '.join(outs)}", markup=False)
    out.print(RESEARCH_USE)


def _unlike_warnings(result: ScanResult) -> Iterator[str]:
    """A line for each slide whose cells are unlike those of the training."""
    slides = [slide for slide in result.summary.slides if slide.unlike_warning]
    for slide in slides[:SLIDES_SHOWN]:
        yield (
            f"Warning: {slide.slide}: its cells are unlike those the model was trained on "
            f"(unlike {slide.unlike:.2f}, expected below {slide.unlike_limit:.2f}): check stain, "
            "focus and cut-outs before you rely on its figures."
        )
    if len(slides) > SLIDES_SHOWN:
        yield (
            f"Warning: the cells of {len(slides) - SLIDES_SHOWN} more slides are unlike those the "
            "model was trained on; the summary names them."
        )


def _summary_table(result: ScanResult) -> Table:
    table = Table(
        title=f"Model {escape(result.model.name)}, threshold {result.threshold:g}",
        caption="parasitaemia: % of classified cells (95 % interval)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("slide", overflow="fold", min_width=8)
    for heading in ("images", "failed", "para-\nsitized", "un-\ninfected"):
        # Folded, a narrow terminal still shows every digit.
        table.add_column(heading, justify="right", overflow="fold", min_width=4)
    for heading in ("apparent\nparasitaemia", "corrected\nparasitaemia"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=12, overflow="fold")
    slides = result.summary.slides
    for slide in slides[:SLIDES_SHOWN]:
        table.add_row(*_cells(slide))
    if len(slides) > SLIDES_SHOWN:
        table.add_row(f"... {len(slides) - SLIDES_SHOWN} more slides in the report")
    table.add_section()
    table.add_row(*_cells(result.summary.total), style="bold")
    return table


def _cells(slide: SlideSummary) -> tuple[str, ...]:
    counts = (slide.images, slide.failed, slide.parasitized, slide.uninfected)
    return (
        escape(slide.slide),
        *(str(count) for count in counts),
        _percent(slide.apparent),
        _percent(slide.corrected),
    )


def _percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    value, low, high = (100 * x for x in (estimate.value, estimate.low, estimate.high))
    return f"{value:.1f} ({low:.1f}-{high:.1f})"
