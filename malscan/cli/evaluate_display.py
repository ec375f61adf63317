"""What people see of an evaluation on stderr: progress, figures, patients, gates."""

import sys
from collections.abc import Callable

from rich import box
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from malscan.cli.console import RESEARCH_USE, console
from malscan.evaluate import EvaluateListener
from malscan.evaluation.folder import false_positive_floor
from malscan.evaluation.result import INDEPENDENCE_TEXTS, EvaluationResult, Independence
from malscan.evaluation.settings import EvaluateSettings, GateOn
from malscan.metrics import label
from malscan.report.row import written
from malscan.report.shown import shown

FAILURES_SHOWN = 10
PATIENTS_SHOWN = 8
SEEN_SHOWN = 12


class EvaluateDisplay:
    """Shows how an evaluation goes, and passes on a wish to stop."""

    def __init__(self, bar_shown: bool, quiet: bool, check_stop: Callable[[], None]) -> None:
        self._bar = tqdm(unit=" images", disable=not bar_shown, file=sys.stderr, dynamic_ncols=True)
        self._quiet = quiet
        self._check_stop = check_stop

    def listener(self) -> EvaluateListener:
        """The calls that an evaluation makes."""
        return EvaluateListener(on_message=self._message, on_images=self._images)

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()

    def _images(self, done: int, images: int) -> None:
        self._bar.total = images
        self._bar.update(done)
        self._check_stop()

    def _message(self, text: str) -> None:
        self._check_stop()
        if not self._quiet:
            tqdm.write(shown(text), file=sys.stderr)


def print_evaluation(result: EvaluationResult, settings: EvaluateSettings) -> None:
    """Print figures, the worst patients, what was set aside, and where the files are."""
    out = console()
    out.print(_figures(result, settings))
    if result.patients:
        out.print(_patients(result))
    floor = false_positive_floor(result.figures["specificity"])
    if (percent := floor["percent"]["value"]) is not None:
        out.print(
            f"False-positive floor: a healthy slide seems to have {percent:.2f} % parasitaemia, "
            f"{floor['per_microlitre']['value']:,.0f} parasites per microlitre (at 5,000,000 red "
            "cells)."
        )
    models = [result.model, *([result.comparison.model] if result.comparison else [])]
    for model in models:
        if model.assumed:
            out.print(
                f"Warning: assumed of {model.name}: {'; '.join(model.assumed)}.", markup=False
            )
    _print_counts(result)
    if result.out is not None:
        out.print(f"Wrote {result.out} (open report.html)", markup=False)
    out.print(RESEARCH_USE)


def print_missed_gates(result: EvaluationResult, on: GateOn) -> None:
    """Say which gates were missed and by how much, even where all else is quiet."""
    out = console()
    for gate in result.gates:
        if gate.met:
            continue
        name = label(gate.figure)
        if on is GateOn.LOWER:
            name = f"the lower end of {name}"
        if gate.value is None:
            out.print(f"Gate missed: {name} is not defined for these cells")
        else:
            short = gate.limit - gate.value
            out.print(
                f"Gate missed: {name} {gate.value:.4f} is {short:.3g} below the least of "
                f"{gate.limit:g}"
            )


def _figures(result: EvaluationResult, settings: EvaluateSettings) -> Table:
    counts = result.counts
    patients = f" of {len(result.patients)} patients" if result.patients else ""
    mark = ", NOT INDEPENDENT" if result.independence is Independence.SEEN else ""
    table = Table(
        title=Text(
            f"Model {result.model.name}, threshold {result.judged.threshold:g}: "
            f"{counts.evaluated:,} cells{patients}{mark}"
        ),
        caption=f"95 % interval over {'patients' if patients else 'single cells'}",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    other = result.comparison
    if other is not None:
        table.add_column(Text(f"minus {other.model.name}"), justify="right")
        table.add_column("interval", justify="right")
    for name, figure in result.figures.items():
        cells = [label(name, settings.prevalence), *figure.in_words()]
        if other is not None:
            cells += other.differences[name].in_words("+.4f")
        table.add_row(*cells)
    return table


def _patients(result: EvaluationResult) -> Table:
    worst = result.patients[:PATIENTS_SHOWN]
    title = "Patients, largest share of wrong calls first"
    if len(result.patients) > len(worst):
        title = f"{title} (the first {len(worst)} of {len(result.patients)})"
    table = Table(
        title=title,
        box=box.SIMPLE_HEAD,
    )
    table.add_column("patient")
    for heading in ("parasitized", "sensitivity", "uninfected", "false-positive rate"):
        table.add_column(heading, justify="right")
    for one in worst:
        table.add_row(
            Text(shown(written(one.patient))),
            str(one.parasitized),
            _share(one.sensitivity),
            str(one.uninfected),
            _share(one.false_positive_rate),
        )
    return table


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _print_counts(result: EvaluationResult) -> None:
    out = console()
    out.print(INDEPENDENCE_TEXTS[result.independence])
    if result.set_aside:
        names = ", ".join(shown(written(name)) for name in result.seen_patients[:SEEN_SHOWN])
        more = len(result.seen_patients) - SEEN_SHOWN
        out.print(
            f"Set aside {len(result.set_aside):,} cells of {len(result.seen_patients)} patients "
            f"whom the model has seen: {names}{f' and {more} more' if more > 0 else ''}.",
            markup=False,
        )
    for group in result.counts.contradictory[:FAILURES_SHOWN]:
        same = " = ".join(group)
        out.print(shown(f"Warning: the same pixels in both classes: {same}"), markup=False)
    if result.counts.repeated:
        out.print(f"Warning: {result.counts.repeated} images repeat the pixels of others")
    if result.failed:
        out.print(f"Warning: {len(result.failed)} images could not be read:")
        for one in result.failed[:FAILURES_SHOWN]:
            out.print(shown(f"  {written(one.image.path)}: {one.error}"), markup=False)
