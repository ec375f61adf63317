"""What the table of slides in a page shows: its columns, and what it can be narrowed down to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from malscan.parasitaemia import Estimate
from malscan.report.summary import SlideSummary

Value = int | float | bool | Estimate | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table of slides.

    Attributes:
        heading: its name.
        value: what it shows of a slide: a count, a measure, yes or no, or an estimate with a
            bar; None for nothing.
    """

    heading: str
    value: Callable[[SlideSummary], Value]


@dataclass(frozen=True, slots=True)
class Filter:
    """Slides that the table can be narrowed down to.

    Attributes:
        label: what they have in common.
        holds: whether a slide is one of them.
    """

    label: str
    holds: Callable[[SlideSummary], bool]


COLUMNS = (
    Column("Apparent parasitaemia", lambda slide: slide.apparent),
    Column("Corrected parasitaemia", lambda slide: slide.corrected),
    Column("Reliable", lambda slide: slide.reliable),
    Column("Parasitized", lambda slide: slide.parasitized),
    Column("Uncertain", lambda slide: slide.uncertain),
    Column("Uninfected", lambda slide: slide.uninfected),
    Column("Failed", lambda slide: slide.failed),
    Column("Images", lambda slide: slide.images),
    Column("Unlike the training", lambda slide: slide.unlike),
)

FILTERS = (
    Filter("with parasitized cells", lambda slide: slide.parasitized > 0),
    Filter("with uncertain cells", lambda slide: slide.uncertain > 0),
    Filter("of cells unlike the training", lambda slide: slide.unlike_warning is True),
    Filter("with failed images", lambda slide: slide.failed > 0),
    Filter("with enough cells to be reliable", lambda slide: slide.reliable),
    Filter("with too few cells to be reliable", lambda slide: not slide.reliable),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A value and its interval, in percent of the width of the bars."""

    value: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell of the table.

    Attributes:
        text: what it says.
        key: what it is sorted by; empty comes last.
        bar: bar of an estimate.
    """

    text: str
    key: str
    bar: Bar | None = None


def table_cell(value: Value, full: float) -> TableCell:
    """How a value stands in the table.

    Args:
        value: what a column shows.
        full: the proportion that a bar of full width stands for.
    """
    if value is None:
        return TableCell("\u2013", "")
    if isinstance(value, bool):
        return TableCell("yes" if value else "no", str(int(value)))
    if isinstance(value, int):
        return TableCell(f"{value:,}", str(value))
    if isinstance(value, float):
        return TableCell(f"{value:.2f}", f"{value:.6f}")
    width = [f"{100 * min(x / full, 1):.4g}" for x in (value.value, value.low, value.high)]
    return TableCell(percent(value), f"{value.value:.6f}", Bar(*width))


def percent(estimate: Estimate) -> str:
    """An estimate in percent, with its interval; low ones with a digit more."""
    digits = 2 if estimate.value < 0.1 else 1
    values = (estimate.value, estimate.low, estimate.high)
    value, low, high = (f"{100 * x:.{digits}f}" for x in values)
    return f"{value} % ({low}\u2013{high})"


def caution(slide: SlideSummary) -> str:
    """Why not to rely on the parasitaemia of a slide, to be put behind it; often nothing."""
    few = "" if slide.reliable else "; too few cells to be reliable"
    odd = "; its cells are unlike those of the training" if slide.unlike_warning else ""
    return few + odd


def full_bar(estimates: Iterable[Estimate | None]) -> float:
    """The proportion that a bar of full width stands for: all fit, and it is a round one."""
    most = max((estimate.high for estimate in estimates if estimate), default=0.0)
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    return next(step for step in steps if most <= step or step == 1.0)
