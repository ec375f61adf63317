"""What people see of a training on stderr: progress bar, epochs, figures."""

import sys
from collections.abc import Callable

from rich.table import Table
from tqdm import tqdm

from malscan.cli.console import RESEARCH_USE, console
from malscan.fit import Epoch
from malscan.train import TrainListener, TrainResult

FAILURES_SHOWN = 10


class TrainDisplay:
    """Shows how training goes, and passes on a wish to stop."""

    def __init__(self, bar_shown: bool, quiet: bool, check_stop: Callable[[], None]) -> None:
        self._bar = tqdm(unit=" steps", disable=not bar_shown, file=sys.stderr, dynamic_ncols=True)
        self._quiet = quiet
        self._check_stop = check_stop

    def listener(self) -> TrainListener:
        """The calls that a training makes."""
        return TrainListener(self._step, self._start, self._epoch, self._message)

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()

    def _start(self, steps: int) -> None:
        self._bar.reset(total=steps)

    def _step(self, done: int) -> None:
        self._bar.update(done)
        self._check_stop()

    def _epoch(self, epoch: Epoch) -> None:
        self._message(
            f"epoch {epoch.epoch}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}; "
            f"validation loss {epoch.validation_loss:.4f}, "
            f"accuracy {epoch.validation_accuracy:.4f}"
        )

    def _message(self, text: str) -> None:
        self._check_stop()
        if not self._quiet:
            tqdm.write(text, file=sys.stderr)


def print_training(result: TrainResult) -> None:
    """Print the figures on the test patients and where the model is."""
    out = console()
    table = Table(title="Test patients (cells, 95 % interval over patients)")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    for name, figure in result.figures.items():
        interval = f"{figure.low:.4f} to {figure.high:.4f}"
        table.add_row(name.replace("_", " "), f"{figure.value:.4f}", interval)
    out.print(table)
    for path, reason in result.failed[:FAILURES_SHOWN]:
        out.print(f"Warning: left out {path}: {reason}", markup=False)
    if len(result.failed) > FAILURES_SHOWN:
        out.print(f"Warning: left out {len(result.failed) - FAILURES_SHOWN} more images")
    out.print(f"Wrote {result.out}", markup=False)
    out.print(RESEARCH_USE)
