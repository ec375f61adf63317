"""`malscan evaluate`."""

import shlex
import sys

import typer

from malscan.cli import data_options as shared
from malscan.cli import evaluate_options as options
from malscan.cli import machine_options, message_options, model_options
from malscan.cli.guard import guarded
from malscan.cli.help import HelpAll
from malscan.evaluation.settings import EvaluateSettings, GateOn, Gates
from malscan.memory import loading_tensorflow
from malscan.place import default_cells
from malscan.quiet import native_output_hidden
from malscan.settings import (
    DEFAULT_BATCH_SIZE,
    Computing,
    DataSettings,
    KerasFileSettings,
    Precision,
)
from malscan.stopping import StopRequests


def evaluate(
    data: shared.Data = None,
    out: options.Out = None,
    positive: shared.Positive = None,
    patient_map: shared.PatientMap = None,
    patient_pattern: shared.PatientPattern = None,
    patient_folders: shared.PatientFolders = False,
    allow_failed: shared.AllowFailed = False,
    allow_seen: options.AllowSeen = False,
    any_size: shared.AnySize = False,
    model: options.Model = None,
    compare: options.Compare = None,
    rescale: model_options.Rescale = None,
    resize_kernel: model_options.ResizeKernel = None,
    class_order: model_options.ClassOrderOption = None,
    threshold: model_options.Threshold = None,
    prevalence: options.Prevalence = None,
    batch_size: model_options.BatchSize = DEFAULT_BATCH_SIZE,
    precision: machine_options.PrecisionOption = Precision.AUTO,
    device: machine_options.Device = "auto",
    min_accuracy: options.MinAccuracy = None,
    min_sensitivity: options.MinSensitivity = None,
    min_specificity: options.MinSpecificity = None,
    min_auc: options.MinAuc = None,
    gate_on: options.GateOnOption = GateOn.POINT,
    quiet: message_options.Quiet = False,
    verbose: message_options.Verbose = False,
    help_all: HelpAll = False,
) -> None:
    """Judge a model by labelled cells of patients whom it has not seen.

    Examples:
      malscan evaluate ./own_cells --out ./check
      malscan evaluate ./own_cells --min-sensitivity 0.95 --gate-on lower
      malscan evaluate ./own_cells --model ./my-model --compare embedded

    Exit codes: 0 done, 1 failed, 2 usage, 3 done but some images could not
    be read, 4 a gate was missed, 75 another run at work, 130 interrupted,
    143 terminated.
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
            computing=Computing(precision, device),
            command=shlex.join(["malscan", *sys.argv[1:]]),
        )
        with StopRequests() as stop, native_output_hidden(not verbose):
            exit_code = _run(settings, stop, quiet)
        raise typer.Exit(exit_code)


def _run(settings: EvaluateSettings, stop: StopRequests, quiet: bool) -> int:
    with loading_tensorflow():
        from malscan.cli.console import bars_wanted
        from malscan.cli.evaluate_display import (
            EvaluateDisplay,
            print_evaluation,
            print_missed_gates,
        )
        from malscan.evaluate import evaluate as run

    display = EvaluateDisplay(bars_wanted(quiet), quiet, stop.check)
    try:
        result = run(settings, display.listener())
    finally:
        display.close()
    if not quiet:
        print_evaluation(result, settings)
    print_missed_gates(result, settings.gates.on)
    return result.exit_code
