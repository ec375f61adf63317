"""What people see of a training on stderr: progress bars, epochs, figures."""

import sys
from collections.abc import Callable

from rich.table import Table
from tqdm import tqdm

from malscan.cli.console import RESEARCH_USE, console
from malscan.cross_validate import FoldsResult
from malscan.metrics import label
from malscan.networks import Layer
from malscan.report.shown import shown
from malscan.train import TrainListener, TrainResult
from malscan.training.checkpoint import Epoch

FAILURES_SHOWN = 10


class TrainDisplay:
    """Shows how training goes, and passes on a wish to stop."""

    def __init__(self, bar_shown: bool, quiet: bool, check_stop: Callable[[], None]) -> None:
        self._bar = tqdm(disable=not bar_shown, file=sys.stderr, dynamic_ncols=True)
        self._quiet = quiet
        self._check_stop = check_stop

    def listener(self) -> TrainListener:
        """The calls that a training makes."""
        return TrainListener(
            on_message=self._message,
            on_reading=self._read,
            on_layers=self._layers,
            on_start=self._start,
            on_step=self._step,
            on_epoch=self._epoch,
        )

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()

    def _read(self, done: int, images: int) -> None:
        if self._bar.total != images or self._bar.n >= images:
            self._bar.reset(total=images)
            self._bar.unit = " images"
        self._step(done)

    def _start(self, done: int, steps: int) -> None:
        self._bar.reset(total=steps)
        self._bar.unit = " steps"
        self._step(done)

    def _step(self, done: int) -> None:
        self._bar.update(done)
        self._check_stop()

    def _epoch(self, epoch: Epoch) -> None:
        self._message(str(epoch))

    def _message(self, text: str) -> None:
        self._check_stop()
        if not self._quiet:
            tqdm.write(shown(text), file=sys.stderr)

    def _layers(self, layers: list[Layer]) -> None:
        if self._quiet:
            return
        table = Table(title="Network")
        for heading in ("layer", "kind", "output"):
            table.add_column(heading)
        table.add_column("parameters", justify="right")
        for layer in layers:
            shape = " x ".join(map(str, layer.shape))
            table.add_row(layer.name, layer.kind, shape, f"{layer.parameters:,}")
        table.add_section()
        table.add_row("all", "", "", f"{sum(layer.parameters for layer in layers):,}")
        console().print(table)


def print_training(result: TrainResult) -> None:
    """Print the figures and where the model is."""
    out = console()
    unit = "patients" if result.patients else "single cells"
    table = Table(title=f"{result.measured_on.capitalize()} cells (95 % interval over {unit})")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    for name, figure in result.figures.items():
        table.add_row(label(name), *figure.in_words())
    out.print(table)
    for path, reason in result.failed[:FAILURES_SHOWN]:
        out.print(shown(f"Warning: left out {path}: {reason}"), markup=False)
    if len(result.failed) > FAILURES_SHOWN:
        out.print(f"Warning: left out {len(result.failed) - FAILURES_SHOWN} more images")
    out.print(f"Wrote {result.out}", markup=False)
    out.print(RESEARCH_USE)


def print_folds(result: FoldsResult) -> None:
    """Print the figures of each fold, their mean and their spread."""
    out = console()
    table = Table(title="Test cells of each fold (split by patient)")
    table.add_column("figure")
    for number in range(1, len(result.folds) + 1):
        table.add_column(str(number), justify="right")
    table.add_column("mean", justify="right")
    table.add_column("s.d.", justify="right")
    for name, spread in result.spread.items():
        values = [fold[name].in_words()[0] for fold in result.folds]
        table.add_row(label(name), *values, f"{spread.mean:.4f}", f"{spread.deviation:.4f}")
    out.print(table)
    out.print(f"Wrote {result.out}", markup=False)
    out.print(RESEARCH_USE)
