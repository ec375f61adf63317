"""One model from one split: read, fit, calibrate, measure, write."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras

from malscan.dataset import LabelledCells
from malscan.devices import computing_in, training_precision
from malscan.error_rates import error_rates
from malscan.errors import ExitCode, MalscanError
from malscan.metrics import (
    Figure,
    Judged,
    PatientResult,
    doubt_is_known,
    figures,
    per_patient,
)
from malscan.model import Model
from malscan.networks import NETWORKS, Network, fold, layer_table
from malscan.predictor import preprocessing_of, rebuild
from malscan.preprocess import Preprocessing
from malscan.settings import Precision
from malscan.split import Split
from malscan.training.calibrate import choose_threshold, fit_temperature, predict_cells
from malscan.training.checkpoint import Checkpoint, Epoch
from malscan.training.doubt import recommend_band
from malscan.training.fingerprint import fingerprint
from malscan.training.fit import FitListener, best_epoch, class_weights, fit
from malscan.training.folder import Findings, TrainedModel, write_model
from malscan.training.forerunner import all_seen, check_start, load_forerunner
from malscan.training.listener import TrainListener
from malscan.training.parts import Parts, load_parts
from malscan.training.recipe import SplitKind
from malscan.training.settings import TrainSettings
from malscan.training.teachers import Teacher, check_apart, load_teachers, opinion
from malscan.training.usual import usual_cells

CARD_FIGURES = (
    "accuracy",
    "sensitivity",
    "specificity",
    "roc_auc",
    "expected_calibration_error",
)
"""Figures that a training quotes; `malscan evaluate` has them all."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training.

    Attributes:
        out: the model folder.
        history: one record an epoch.
        measured_on: `test`, or `validation` where there was no test part.
        figures: figures on that part, with intervals.
        patients: results of each patient of that part, worst first; empty if unknown.
        failed: images that could not be read and were left out, each with the reason.
        exit_code: `OK` or `SOME_UNREADABLE`.
    """

    out: Path
    history: list[Epoch]
    measured_on: str
    figures: dict[str, Figure]
    patients: list[PatientResult]
    failed: list[tuple[str, str]]
    exit_code: ExitCode


def train_split(
    settings: TrainSettings,
    labelled: LabelledCells,
    split: Split,
    state: Path,
    listener: TrainListener,
) -> TrainResult:
    """Train a model on a split and write its folder, whole or not at all.

    Args:
        settings: what to train and where to write it; how its split is made is not looked at.
        labelled: the cells.
        split: their parts.
        state: folder for what a killed training needs to go on.
        listener: whom to tell how it goes.

    Raises:
        MalscanError: data that cannot be trained on, a loss that is not a number, a folder
            that cannot be written.
    """
    start = None if settings.start_from is None else load_forerunner(settings.start_from)
    source = None if start is None else start.model
    network = _network(settings, source)
    preprocessing = _preprocessing(network, source)
    keras.utils.set_random_seed(settings.recipe.seed)
    precision = training_precision(settings.machine.precision, wide=network.wide)
    with computing_in(precision) as policy:
        built = network.build() if source is None else rebuild(source)
    if settings.split.folds == 0:
        listener.on_layers(layer_table(built))
    listener.on_message(f"Reading images; computing in {policy}")
    parts = load_parts(settings, split, preprocessing, state, listener)
    if start is not None:
        check_start(start, parts)
    teachers = load_teachers(settings.teachers, preprocessing)
    check_apart(teachers, parts)
    taught_by = [teacher.model for teacher in teachers]
    prints = fingerprint(settings, labelled, split, policy, source, taught_by)
    checkpoint = Checkpoint(state / "checkpoint.safetensors", prints)
    history = _fit(settings, built, parts, preprocessing, checkpoint, teachers, listener)
    listener.on_message(f"Measuring on the {parts.measured()[0]} part")
    with computing_in(Precision.FLOAT32):
        trained = fold(built, network)
    findings = _measure(settings, trained, parts, preprocessing, history)
    seen = all_seen(parts.seen(), [*([] if start is None else [start]), *teachers])
    model = TrainedModel(
        network, preprocessing, trained, parts, findings, seen, source, taught_by, prints
    )
    write_model(settings, model, labelled, split)
    code = ExitCode.SOME_UNREADABLE if parts.failed else ExitCode.OK
    return TrainResult(
        settings.out,
        history,
        findings.measured_on,
        findings.figures,
        findings.patients,
        parts.failed,
        code,
    )


def _network(settings: TrainSettings, source: Model | None) -> Network:
    if source is None:
        return NETWORKS[settings.network]
    if source.network not in NETWORKS:
        raise MalscanError(f"model {source.name}: unknown network {source.network!r}")
    return NETWORKS[source.network]


def _preprocessing(network: Network, source: Model | None) -> Preprocessing:
    if source is None:
        return network.preprocessing
    return preprocessing_of(source)


def _fit(
    settings: TrainSettings,
    built: keras.Model,
    parts: Parts,
    preprocessing: Preprocessing,
    checkpoint: Checkpoint,
    teachers: list[Teacher],
    listener: TrainListener,
) -> list[Epoch]:
    def start(done: int, steps: int) -> None:
        if checkpoint.note:
            listener.on_message(checkpoint.note)
        elif done:
            epochs = done * settings.recipe.epochs // steps
            listener.on_message(f"Going on after epoch {epochs} of {settings.recipe.epochs}")
        listener.on_start(done, steps)

    return fit(
        built,
        parts.train,
        parts.validation,
        settings.recipe,
        rescale=preprocessing.rescale,
        checkpoint=checkpoint,
        opinion=partial(opinion, teachers) if teachers else None,
        tensorboard=settings.tensorboard,
        listener=FitListener(start, listener.on_step, listener.on_epoch),
    )


def _measure(
    settings: TrainSettings,
    trained: keras.Model,
    parts: Parts,
    preprocessing: Preprocessing,
    history: list[Epoch],
) -> Findings:
    """Calibrate on the validation part and measure on the test part, if there is one."""
    held_out = parts.validation
    raw = predict_cells(trained, held_out, preprocessing, 1.0)
    weights = class_weights(parts.train, settings.recipe.class_weights)
    temperature = fit_temperature(raw, held_out.positive, weights, held_out.known_patients)
    calibrated = predict_cells(trained, held_out, preprocessing, temperature)
    threshold, chosen = choose_threshold(calibrated, held_out.positive, settings.threshold_for)
    band, band_chosen = recommend_band(calibrated, held_out.positive, weights, threshold)
    name, cells = parts.measured()
    probability = calibrated
    if cells is not held_out:
        probability = predict_cells(trained, cells, preprocessing, temperature)
    patients = cells.known_patients
    judged = Judged(cells.positive, probability, patients, threshold)
    found = figures(judged)
    by_patient = settings.split.kind is SplitKind.PATIENT
    rates = None
    if name == "test" and by_patient and patients and doubt_is_known(judged):
        rates = error_rates(cells.positive, probability, patients, at=threshold)
    return Findings(
        history=history,
        kept=best_epoch(history, settings.recipe.keep).epoch,
        temperature=temperature,
        threshold=threshold,
        threshold_chosen=chosen,
        uncertain=band,
        uncertain_chosen=band_chosen,
        measured_on=name,
        interval_unit="cell" if patients is None else "patient",
        figures={name: found[name] for name in CARD_FIGURES},
        patients=per_patient(judged),
        rates=rates,
        usual=usual_cells([parts.train, held_out]),
    )
