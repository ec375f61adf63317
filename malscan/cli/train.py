"""`malscan train`."""

import shlex
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from malscan.cli.guard import guarded
from malscan.quiet import native_output_hidden
from malscan.settings import (
    DEFAULT_TEST_SHARE,
    DEFAULT_VALIDATION_SHARE,
    Recipe,
    TrainSettings,
)
from malscan.stopping import StopRequests


class NetworkName(StrEnum):
    """Networks by name; named here so that a misspelt one is refused without TensorFlow."""

    COMPACT = "compact"
    BASELINE = "baseline"


_SPLIT = "Split, by patient"
_TRAINING = "Training"
_MESSAGES = "Messages"
_RECIPE = Recipe()


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            exists=True,
            file_okay=False,
            help="Folder that holds two class folders: Parasitized, Uninfected.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="MODEL_DIR", help="Model folder to make.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing model.")] = False,
    name: Annotated[
        str | None,
        typer.Option(help="What reports will call the model.", show_default="name of MODEL_DIR"),
    ] = None,
    test_patients: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Test patients, one a line.",
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    test_share: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.9,
            help="Share of patients for test, without --test-patients.",
            rich_help_panel=_SPLIT,
        ),
    ] = DEFAULT_TEST_SHARE,
    validation_share: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.9, help="Share of patients for validation.", rich_help_panel=_SPLIT
        ),
    ] = DEFAULT_VALIDATION_SHARE,
    network: Annotated[
        NetworkName, typer.Option(help="Architecture.", rich_help_panel=_TRAINING)
    ] = NetworkName.COMPACT,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the cells.", rich_help_panel=_TRAINING)
    ] = _RECIPE.epochs,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Cells to a step.", rich_help_panel=_TRAINING)
    ] = _RECIPE.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="Highest learning rate.", rich_help_panel=_TRAINING)
    ] = _RECIPE.learning_rate,
    weight_decay: Annotated[
        float, typer.Option(help="Weight decay of AdamW.", rich_help_panel=_TRAINING)
    ] = _RECIPE.weight_decay,
    label_smoothing: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.5, help="Share of a label to spread.", rich_help_panel=_TRAINING
        ),
    ] = _RECIPE.label_smoothing,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Seed of split, weights, order.", rich_help_panel=_TRAINING),
    ] = _RECIPE.seed,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=_MESSAGES),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Print more detail.", rich_help_panel=_MESSAGES),
    ] = False,
) -> None:
    """Train a model on labelled cells; the patients of train and test are never the same.

    Example: malscan train ./cell_images --out ./my-model

    Exit codes: 0 done; 1 failed; 2 usage; 3 done, but some images could not be read; 75 another
    training writes this model; 130 interrupted; 143 terminated.
    """
    with guarded(verbose=verbose):
        settings = TrainSettings(
            data=data,
            out=out,
            network=network.value,
            recipe=Recipe(
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
                label_smoothing=label_smoothing,
                seed=seed,
            ),
            name=name,
            validation_share=validation_share,
            test_share=test_share,
            test_patients=test_patients,
            force=force,
            command=shlex.join(["malscan", *sys.argv[1:]]),
        )
        with StopRequests() as stop, native_output_hidden(not verbose):
            exit_code = _run(settings, stop, quiet)
        raise typer.Exit(exit_code)


def _run(settings: TrainSettings, stop: StopRequests, quiet: bool) -> int:
    from malscan.cli.console import bars_wanted
    from malscan.cli.train_display import TrainDisplay, print_training
    from malscan.train import train as run

    display = TrainDisplay(bars_wanted(quiet), quiet, stop.check)
    try:
        result = run(settings, display.listener())
    finally:
        display.close()
    if not quiet:
        # The model is there; that nobody reads the messages is no failure.
        with suppress(BrokenPipeError):
            print_training(result)
    return result.exit_code
