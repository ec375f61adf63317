"""`malscan evaluate`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from malscan.cli import data_options as shared
from malscan.cli import model_options
from malscan.cli.guard import guarded
from malscan.evaluation.settings import EvaluateSettings, GateOn, Gates
from malscan.memory import check_address_space
from malscan.place import default_cells
from malscan.quiet import native_output_hidden
from malscan.settings import DEFAULT_BATCH_SIZE, DataSettings, KerasFileSettings
from malscan.stopping import StopRequests

_MODEL = "Model"
_GATES = "Gates (exit 4 where one is missed)"


def _gate(name: str) -> typer.models.OptionInfo:
    return typer.Option(
        metavar="X", min=0.0, max=1.0, help=f"Least {name}, 0..1.", rich_help_panel=_GATES
    )


def evaluate(
    data: shared.Data = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for figures, tables, pictures, report.html."),
    ] = None,
    positive: shared.Positive = None,
    patient_map: shared.PatientMap = None,
    patient_pattern: shared.PatientPattern = None,
    patient_folders: shared.PatientFolders = False,
    allow_failed: shared.AllowFailed = False,
    allow_seen: Annotated[
        bool,
        typer.Option(
            "--allow-seen",
            help="Keep patients that the model has seen; figures are too good.",
            rich_help_panel="Data",
        ),
    ] = False,
    any_size: shared.AnySize = False,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Model to judge: folder, .keras or .h5.",
            show_default="$MALSCAN_MODEL, else the embedded model",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", help="Second model for the same cells.", rich_help_panel=_MODEL
        ),
    ] = None,
    rescale: model_options.Rescale = None,
    resize_kernel: model_options.ResizeKernel = None,
    class_order: model_options.ClassOrderOption = None,
    threshold: model_options.Threshold = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Give PPV and NPV at this share of parasitized cells, 0..1, too.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    batch_size: model_options.BatchSize = DEFAULT_BATCH_SIZE,
    min_accuracy: Annotated[float | None, _gate("accuracy")] = None,
    min_sensitivity: Annotated[float | None, _gate("sensitivity")] = None,
    min_specificity: Annotated[float | None, _gate("specificity")] = None,
    min_auc: Annotated[float | None, _gate("area under the ROC curve")] = None,
    gate_on: Annotated[
        GateOn,
        typer.Option(
            help="Compare the figure, or the lower end of its interval.", rich_help_panel=_GATES
        ),
    ] = GateOn.POINT,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Judge a model by labelled cells of patients whom it has not seen.

    Example: malscan evaluate ./own_cells --out ./check --min-sensitivity 0.95

    Exit codes: 0 done; 1 failed; 2 usage; 3 done, but some images could not be read; 4 a gate was
    missed; 75 another run writes to this folder; 130 interrupted; 143 terminated.
    """
    with guarded(verbose=verbose):
        settings = EvaluateSettings(
            data=DataSettings(
                data=data or default_cells(),
                positive=positive,
                patient_maps=tuple(patient_map or ()),
                patient_pattern=patient_pattern,
                patient_folders=patient_folders,
                any_size=any_size,
            ),
            model=model,
            compare=compare,
            keras_file=KerasFileSettings(rescale, resize_kernel, class_order),
            out=out,
            threshold=threshold,
            prevalence=prevalence,
            gates=Gates(min_accuracy, min_sensitivity, min_specificity, min_auc, gate_on),
            allow_seen=allow_seen,
            allow_failed=allow_failed,
            batch_size=batch_size,
            command=shlex.join(["malscan", *sys.argv[1:]]),
        )
        with StopRequests() as stop, native_output_hidden(not verbose):
            exit_code = _run(settings, stop, quiet)
        raise typer.Exit(exit_code)


def _run(settings: EvaluateSettings, stop: StopRequests, quiet: bool) -> int:
    check_address_space()
    from malscan.cli.console import bars_wanted
    from malscan.cli.evaluate_display import EvaluateDisplay, print_evaluation, print_missed_gates
    from malscan.evaluate import evaluate as run

    display = EvaluateDisplay(bars_wanted(quiet), quiet, stop.check)
    try:
        result = run(settings, display.listener())
    finally:
        display.close()
    if not quiet:
        print_evaluation(result, settings)
    print_missed_gates(result)
    return result.exit_code
