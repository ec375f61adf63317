"""What people see of a fetch on stderr: progress with rate and time left, table, faults."""

import shlex
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Never, Self

import typer
from rich import box
from rich.table import Table
from tqdm import tqdm

from malscan.cli.console import bars_wanted, console
from malscan.fetch.archive import CITATION
from malscan.fetch.check import CheckResult
from malscan.fetch.fetch import FetchResult
from malscan.fetch.listener import FetchListener, Phase, in_bytes
from malscan.labels import CLASSES
from malscan.report.shown import shown

FAULTS_SHOWN = 10


class FetchDisplay:
    """Shows how a fetch goes, and passes on a wish to stop."""

    def __init__(self, quiet: bool, check_stop: Callable[[], None]) -> None:
        self._quiet = quiet
        self._check_stop = check_stop
        self._bars = bars_wanted(quiet)
        self._bar: tqdm[Never] | None = None
        self._told: str | None = None

    def listener(self) -> FetchListener:
        """The calls that a fetch makes."""
        return FetchListener(self._phase, self._progress, self._message)

    def _phase(self, phase: Phase) -> None:
        self._close()
        # Tried again, a phase begins anew; once is enough to be told of it.
        if self._told != phase.name:
            self._told = phase.name
            self._message(phase.name + _amount(phase))
        if self._bars:
            self._bar = tqdm(
                desc=phase.name,
                unit=phase.unit if phase.unit == "B" else f" {phase.unit}",
                unit_scale=phase.unit == "B",
                total=phase.total,
                initial=phase.done,
                file=sys.stderr,
                dynamic_ncols=True,
                leave=False,
            )

    def _progress(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            if done == self._bar.total:
                self._close()
        self._check_stop()

    def _message(self, text: str) -> None:
        self._check_stop()
        if not self._quiet:
            tqdm.write(shown(text), file=sys.stderr)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()


def print_fetch(result: FetchResult) -> None:
    """Print what is there now, whom to cite, and what to type next."""
    out = console()
    found = result.found
    if result.already:
        out.print(f"{found.layout.dest} is whole already; nothing was fetched.", markup=False)
    out.print(_table(found))
    _print_sample(found)
    out.print(f"Place: {found.layout.cells}", markup=False)
    if found.manifest and found.manifest.patients_sha256:
        out.print(f"Patients: {found.layout.patients}", markup=False)
    out.print(f"Cite: {CITATION}", markup=False)
    out.print(
        f"Next: malscan train {shlex.quote(str(found.layout.cells))} --out my-model", markup=False
    )


def print_check(result: CheckResult, quiet: bool, verbose: bool) -> None:
    """Print what is there and what is wrong; with `quiet` only whether something is."""
    out = console()
    dest = result.layout.dest
    if not quiet:
        out.print(_table(result))
        _print_sample(result)
        if result.manifest is None:
            out.print(
                f"Note: no {result.layout.manifest.name} tells what was unpacked here; only the "
                "published counts were checked."
            )
        if result.is_whole:
            out.print(f"{dest} is whole.", markup=False)
        for text in _faults(result, None if verbose else FAULTS_SHOWN):
            out.print(shown(text), markup=False)
    if not result.is_whole:
        message = f"malscan: {dest} is not whole: {_summary(result)}.{_advice(result)}"
        typer.echo(shown(message), err=True)


def _table(found: CheckResult) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("class")
    table.add_column("images", justify="right")
    table.add_column("patients", justify="right")
    for label in CLASSES:
        table.add_row(label, f"{found.count(label):,}", f"{found.patients(label):,}")
    table.add_section()
    table.add_row("both", f"{len(found.sizes):,}", f"{found.patients():,}", style="bold")
    return table


def _print_sample(found: CheckResult) -> None:
    if found.manifest and found.manifest.sample is not None:
        console().print(
            f"A sample of whole patients (--sample {found.manifest.sample}), not the whole set."
        )


def _faults(result: CheckResult, most: int | None) -> list[str]:
    lists: dict[str, Sequence[str]] = {
        "missing": result.missing,
        "of another size": result.resized,
        "stranger": result.strangers,
        "unreadable": [f"{place}: {reason}" for place, reason in result.unreadable],
    }
    lines = [f"  {fault}" for fault in result.faults]
    for what, places in lists.items():
        lines += [f"  {what}: {place}" for place in places[:most]]
        if most is not None and len(places) > most:
            lines.append(f"  {what}: {len(places) - most} more; --verbose names all")
    return lines


def _summary(result: CheckResult) -> str:
    counts = {
        "missing": len(result.missing),
        "of another size": len(result.resized),
        "strangers": len(result.strangers),
        "unreadable": len(result.unreadable),
    }
    parts = [f"{count} {what}" for what, count in counts.items() if count]
    return ", ".join([*parts, *result.faults])


def _advice(result: CheckResult) -> str:
    sample = result.manifest.sample if result.manifest else None
    option = f" --sample {sample}" if sample else ""
    command = f"`malscan fetch {shlex.quote(str(result.layout.dest))}{option}`"
    if result.strangers:
        return f" Move the strangers away, then run {command}."
    return f" Run {command} to mend it."


def _amount(phase: Phase) -> str:
    if phase.total is None:
        return ""
    if phase.unit != "B":
        return f": {phase.total:,} {phase.unit}"
    rest = f", {in_bytes(phase.done)} of it are here" if phase.done else ""
    return f": {in_bytes(phase.total)}{rest}"
