"""Train: labelled cells in, a model folder out."""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf
from scipy.optimize import minimize_scalar

from malscan import __version__
from malscan.atomic import locked
from malscan.card import model_card
from malscan.dataset import labelled_cells, read_patient_list, with_known_patient
from malscan.errors import ExitCode, MalscanError, UsageError
from malscan.fit import Cells, Epoch, fit, load_cells
from malscan.labels import CLASSES
from malscan.metrics import Figure, error_rates, figures
from malscan.model import CARD, METADATA, ErrorRates, save_model
from malscan.networks import NETWORKS, Network, fold
from malscan.pipeline import full_batch
from malscan.predictor import classifier, weights_of
from malscan.preprocess import Preprocessing
from malscan.settings import DEFAULT_BATCH_SIZE, TrainSettings
from malscan.split import Split, patients_of, split_by_patient

MOST_FAILED = 0.05
"""Share of unreadable images from which a data set is not to be trusted."""
THRESHOLD = 0.5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training.

    Attributes:
        out: the model folder.
        history: one record an epoch.
        figures: figures on the test patients, with intervals.
        failed: images that could not be read and were left out, each with the reason.
        exit_code: `OK` or `SOME_UNREADABLE`.
    """

    out: Path
    history: list[Epoch]
    figures: dict[str, Figure]
    failed: list[tuple[str, str]]
    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class TrainListener:
    """Whom to tell how training goes; an exception from a call ends the training.

    Attributes:
        on_step: called with 1 after each of `steps` training steps.
        on_start: called with the number of steps to come.
        on_epoch: called after each epoch.
        on_message: called with one line about what goes on.
    """

    on_step: Callable[[int], object] = lambda done: None
    on_start: Callable[[int], object] = lambda steps: None
    on_epoch: Callable[[Epoch], object] = lambda epoch: None
    on_message: Callable[[str], object] = lambda text: None


@dataclass(frozen=True, slots=True)
class _Parts:
    train: Cells
    validation: Cells
    test: Cells

    def failed(self) -> list[tuple[str, str]]:
        parts = (self.train, self.validation, self.test)
        return [(image.path, reason) for part in parts for image, reason in part.failed]


def train(settings: TrainSettings, listener: TrainListener = TrainListener()) -> TrainResult:
    """Train a network on labelled cells and write a model folder, whole or not at all.

    Args:
        settings: what to train, on what, and where to.
        listener: whom to tell how it goes.

    Raises:
        UsageError: an unknown network, or no such folder.
        LockedError: another training writes the same model.
        MalscanError: data that cannot be trained on, an existing model without `force`,
            a loss that is not a number, a folder that cannot be written.
    """
    network = _network(settings.network)
    _make_parent(settings.out)
    with locked([settings.out]):
        _check_target(settings)
        split = _split(settings, listener)
        parts = _load(split, network.preprocessing, listener)
        keras.utils.set_random_seed(settings.recipe.seed)
        built = network.build()
        steps = settings.recipe.steps(len(parts.train.pixels))
        listener.on_start(steps * settings.recipe.epochs)
        history = fit(
            built,
            parts.train,
            parts.validation,
            settings.recipe,
            rescale=network.preprocessing.rescale,
            on_step=listener.on_step,
            on_epoch=listener.on_epoch,
        )
        listener.on_message("Measuring on the test patients")
        trained = fold(built, network)
        temperature = fit_temperature(trained, parts.validation, network.preprocessing)
        probability = _predict(trained, parts.test, network.preprocessing, temperature)
        measured = figures(parts.test.positive, probability, parts.test.patients, THRESHOLD)
        rates = error_rates(parts.test.positive, probability, parts.test.patients)
        metadata = _metadata(settings, network, split, parts, history, temperature, measured)
        _write(settings, metadata, trained, rates, history)
    failed = parts.failed()
    code = ExitCode.SOME_UNREADABLE if failed else ExitCode.OK
    return TrainResult(settings.out, history, measured, failed, code)


def fit_temperature(network: keras.Model, cells: Cells, preprocessing: Preprocessing) -> float:
    """Temperature that makes probabilities on held-out cells most likely.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    raw = np.clip(_predict(network, cells, preprocessing, 1.0), 1e-7, 1 - 1e-7)
    logit = np.log(raw / (1 - raw))
    sign = np.where(cells.positive, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -sign * logit / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return round(float(np.exp(found.x)), 6)


def _network(name: str) -> Network:
    if name not in NETWORKS:
        raise UsageError(f"unknown network {name!r}. Known: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def _make_parent(out: Path) -> None:
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MalscanError(f"cannot make the folder of {out}: {error.strerror}") from None


def _check_target(settings: TrainSettings) -> None:
    """Refuse, before hours of work, a target that must not or cannot be replaced."""
    out = Path(os.path.realpath(settings.out))
    if not out.exists():
        return
    if not settings.force:
        raise MalscanError(f"{settings.out} exists already. Name another folder, or give --force.")
    if not (out / METADATA).is_file():
        raise MalscanError(
            f"{settings.out} is no model, and --force replaces only models. Name another folder."
        )
    if Path(os.path.realpath(settings.data)).is_relative_to(out):
        raise MalscanError(f"{settings.out} holds the training data. Name another folder.")


def _split(settings: TrainSettings, listener: TrainListener) -> Split:
    labelled = labelled_cells(settings.data)
    for note in labelled.notes:
        listener.on_message(note)
    cells = with_known_patient(labelled.cells)
    chosen = settings.test_patients
    return split_by_patient(
        cells,
        seed=settings.recipe.seed,
        validation_share=settings.validation_share,
        test_share=settings.test_share,
        test_patients=read_patient_list(chosen) if chosen else frozenset(),
    )


def _load(split: Split, preprocessing: Preprocessing, listener: TrainListener) -> _Parts:
    listener.on_message("Reading images")
    loaded = {name: load_cells(part, preprocessing) for name, part in split.parts().items()}
    parts = _Parts(**loaded)
    for name, part in loaded.items():
        listener.on_message(
            f"{name}: {len(part.pixels)} cells of {len(set(part.patients))} patients"
        )
    failed, images = len(parts.failed()), sum(map(len, split.parts().values()))
    if failed > MOST_FAILED * images:
        path, reason = parts.failed()[0]
        raise MalscanError(
            f"{failed} of {images} images cannot be read, more than {MOST_FAILED:.0%}; "
            f"the first is {path}: {reason}"
        )
    return parts


def _predict(
    network: keras.Model, cells: Cells, preprocessing: Preprocessing, temperature: float
) -> Floats:
    classify = classifier(network, preprocessing, temperature)
    parts = []
    for start in range(0, len(cells.pixels), DEFAULT_BATCH_SIZE):
        batch = tf.constant(cells.pixels[start : start + DEFAULT_BATCH_SIZE])
        parts.append(classify(full_batch(batch, DEFAULT_BATCH_SIZE)).numpy()[: len(batch)])
    return np.concatenate(parts).astype(np.float64)


def _metadata(
    settings: TrainSettings,
    network: Network,
    split: Split,
    parts: _Parts,
    history: list[Epoch],
    temperature: float,
    measured: dict[str, Figure],
) -> dict[str, Any]:
    best = min(history, key=lambda epoch: epoch.validation_loss)
    loaded = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    return {
        "name": settings.name or settings.out.name,
        "network": network.name,
        "preprocessing": asdict(network.preprocessing),
        "classes": list(CLASSES),
        "threshold": THRESHOLD,
        "threshold_chosen": "fixed, not chosen on data",
        "temperature": temperature,
        "recipe": asdict(settings.recipe),
        "best_epoch": best.epoch,
        "split_unit": "patient",
        "split": {
            name: {
                "cells": len(part.pixels),
                "parasitized": int(part.positive.sum()),
                "patients": patients_of(part.images),
            }
            for name, part in loaded.items()
        },
        "failed": len(parts.failed()),
        "test_figures": {name: asdict(figure) for name, figure in measured.items()},
        "versions": {
            "malscan": __version__,
            "tensorflow": version("tensorflow"),
            "keras": version("keras"),
        },
        "command": settings.command,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _write(
    settings: TrainSettings,
    metadata: dict[str, Any],
    trained: keras.Model,
    rates: ErrorRates,
    history: list[Epoch],
) -> None:
    """Write the folder beside its place and rename it when it is complete."""
    out = Path(os.path.realpath(settings.out))
    partial = out.with_name(f".{out.name}.partial")
    replaced = out.with_name(f".{out.name}.replaced.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        save_model(partial, metadata, weights_of(trained), rates)
        pd.DataFrame([asdict(epoch) for epoch in history]).to_csv(
            partial / "history.csv", index=False, float_format="%.6f"
        )
        (partial / CARD).write_text(model_card(metadata), encoding="utf-8")
        if out.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            out.replace(replaced)
        partial.replace(out)
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise MalscanError(f"cannot write {settings.out}: {error.strerror}") from None
