"""What people see of a dry run on stderr."""

from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from malscan.cli.console import console
from malscan.plan import ScanPlan
from malscan.report.shown import shown

SLIDES_SHOWN = 30


def print_plan(plan: ScanPlan) -> None:
    """Print what a scan would do."""
    out = console()
    out.print(_table(plan))
    if plan.unreadable:
        out.print(f"Warning: {plan.unreadable} folders cannot be read:")
        for path, error in plan.failures:
            out.print(shown(f"  {path}: {error}"), markup=False)
        if plan.unreadable > len(plan.failures):
            out.print("  ...")
    for note in plan.notes:
        out.print(shown(f"Note: {note}"), markup=False)
    if plan.skipped:
        out.print(f"{plan.skipped} other files were passed over.")
    model = f"{plan.model.name}, {plan.model_path}, sha256 {plan.model.sha256}"
    out.print(shown(f"Would use model {model}, threshold {plan.threshold:g}"), markup=False)
    if plan.writes:
        out.print(f"Would write {_names(plan.writes)}", markup=False)
    if plan.replaces:
        out.print(f"Would replace {_names(plan.replaces)}", markup=False)
    if plan.to_stdout:
        out.print("Would write CSV rows to stdout")
    out.print("Dry run: no image was opened, nothing was written.")


def _names(paths: list[Path]) -> str:
    return shown(", ".join(map(str, paths)))


def _table(plan: ScanPlan) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("slide", overflow="fold", min_width=8)
    table.add_column("images", justify="right", overflow="fold", min_width=4)
    for slide, images in list(plan.slides.items())[:SLIDES_SHOWN]:
        table.add_row(escape(shown(slide)), str(images))
    if len(plan.slides) > SLIDES_SHOWN:
        table.add_row(f"... {len(plan.slides) - SLIDES_SHOWN} more slides")
    table.add_section()
    table.add_row("TOTAL", str(plan.images), style="bold")
    return table
