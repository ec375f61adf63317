"""`malscan train`."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from malscan.cli import cluster_options, machine_options, message_options
from malscan.cli import data_options as shared
from malscan.cli import train_options as options
from malscan.cli.guard import guarded
from malscan.cli.help import HelpAll
from malscan.cluster.settings import TIMEOUT, ClusterSettings
from malscan.errors import UsageError
from malscan.memory import loading_tensorflow
from malscan.place import default_cells
from malscan.quiet import native_output_hidden
from malscan.settings import DataSettings, Precision
from malscan.stopping import StopRequests
from malscan.training.recipe import PRESETS, Keep, NetworkName, Optimizer, Preset, Recipe
from malscan.training.settings import (
    Cache,
    Machine,
    SplitSettings,
    ThresholdGoal,
    TrainSettings,
)

_SPLIT = SplitSettings()


def train(
    data: shared.Data = None,
    *,
    out: options.Out,
    force: options.Force = False,
    name: options.Name = None,
    save_h5: options.SaveH5 = None,
    positive: shared.Positive = None,
    patient_map: shared.PatientMap = None,
    patient_pattern: shared.PatientPattern = None,
    patient_folders: shared.PatientFolders = False,
    allow_failed: shared.AllowFailed = False,
    any_size: shared.AnySize = False,
    split: options.Split = None,
    split_file: options.SplitFile = None,
    test_patients: options.TestPatients = None,
    test_share: options.TestShare = _SPLIT.test_share,
    validation_share: options.ValidationShare = _SPLIT.validation_share,
    folds: options.Folds = _SPLIT.folds,
    preset: options.Preset = None,
    start_from: options.From = None,
    network: options.Network = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    optimizer: options.OptimizerOption = None,
    learning_rate: options.LearningRate = None,
    schedule: options.ScheduleOption = None,
    weight_decay: options.WeightDecay = None,
    label_smoothing: options.LabelSmoothing = None,
    augment: options.Augment = None,
    mixup: options.Mixup = None,
    average: options.Average = None,
    teacher: options.Teacher = None,
    teacher_share: options.TeacherShare = None,
    class_weights: options.ClassWeightsOption = None,
    keep: options.KeepOption = None,
    patience: options.Patience = None,
    seed: options.Seed = None,
    threshold_for: options.ThresholdFor = None,
    deterministic: options.Deterministic = False,
    precision: machine_options.PrecisionOption = Precision.AUTO,
    device: machine_options.Device = "auto",
    cache: options.CacheOption = Cache.AUTO,
    tensorboard: options.Tensorboard = None,
    cluster: cluster_options.Cluster = None,
    cluster_timeout: cluster_options.ClusterTimeout = TIMEOUT,
    quiet: message_options.Quiet = False,
    verbose: message_options.Verbose = False,
    help_all: HelpAll = False,
) -> None:
    """Train a model on labelled cells; by default no patient is in two parts.

    Examples:
      malscan train ./cell_images --out ./my-model
      malscan train ./own_cells --from embedded --out ./own-model
      malscan train ./cell_images --preset notebook --out ./notebook

    A training that was killed goes on when the same command is given again.

    Exit codes: 0 done, 1 failed, 2 usage, 3 done but some images could not
    be read, 75 another run at work, 130 interrupted, 143 terminated.
    """
    with guarded(verbose=verbose):
        chosen = _preset(preset, start_from)
        settings = TrainSettings(
            data=DataSettings(
                data=data or default_cells(),
                positive=positive,
                patient_maps=tuple(patient_map or ()),
                patient_pattern=patient_pattern,
                patient_folders=patient_folders,
                any_size=any_size,
            ),
            out=out,
            network=_network(chosen, network, start_from),
            start_from=start_from,
            teachers=tuple(teacher or ()),
            split=SplitSettings(
                kind=split or chosen.split,
                file=split_file,
                test_patients=test_patients,
                validation_share=validation_share,
                test_share=test_share,
                folds=folds,
            ),
            recipe=_recipe(
                chosen,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=optimizer,
                learning_rate=learning_rate,
                schedule=schedule,
                weight_decay=weight_decay,
                label_smoothing=label_smoothing,
                augmentation=augment,
                mixup=mixup,
                average=average,
                teacher_share=teacher_share,
                class_weights=class_weights,
                keep=keep,
                patience=patience,
                seed=seed,
            ),
            machine=Machine(precision, device, deterministic, cache),
            threshold_for=ThresholdGoal.parse(threshold_for) if threshold_for else None,
            name=name,
            save_h5=save_h5,
            tensorboard=tensorboard,
            allow_failed=allow_failed,
            force=force,
            command=shlex.join(["malscan", *sys.argv[1:]]),
            cluster=ClusterSettings.parse(cluster, timeout=cluster_timeout) if cluster else None,
        )
        with StopRequests() as stop, native_output_hidden(not verbose):
            exit_code = _run(settings, stop, quiet)
        raise typer.Exit(exit_code)


def _preset(name: options.PresetName | None, start_from: Path | None) -> Preset:
    if name is None:
        name = options.PresetName.ADAPT if start_from else options.PresetName.DEFAULT
    if name is options.PresetName.ADAPT and start_from is None:
        raise UsageError("--preset adapt needs a model to start from: --from MODEL")
    return PRESETS[name]


def _network(preset: Preset, given: NetworkName | None, start_from: Path | None) -> NetworkName:
    if start_from is not None and given is not None:
        raise UsageError("--network and --from exclude each other: a model has its network")
    return given or preset.network


def _recipe(preset: Preset, **given: Any) -> Recipe:
    """The recipe of a preset, with what the command line has said."""
    known = {key: value for key, value in given.items() if value is not None}
    if known.get("patience"):
        # Of a training that ends without gain, the last epoch is none to keep.
        known.setdefault("keep", Keep.BEST)
    recipe = replace(preset.recipe, **known)
    if given["weight_decay"] and recipe.optimizer is not Optimizer.ADAMW:
        raise UsageError(f"--weight-decay goes with --optimizer adamw, not {recipe.optimizer}.")
    return recipe


def _run(settings: TrainSettings, stop: StopRequests, quiet: bool) -> int:
    with loading_tensorflow():
        from malscan.cli.console import bars_wanted
        from malscan.cli.train_display import TrainDisplay, print_folds, print_training
        from malscan.cross_validate import cross_validate
        from malscan.train import train as run

    display = TrainDisplay(bars_wanted(quiet), quiet, stop.check)
    try:
        if settings.split.folds:
            folds = cross_validate(settings, display.listener())
        else:
            result = run(settings, display.listener())
    finally:
        display.close()
    if settings.split.folds:
        if not quiet:
            print_folds(folds)
        return folds.exit_code
    if not quiet:
        print_training(result)
    return result.exit_code
