"""The model folder: everything a training leaves behind, complete or absent."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from malscan.atomic import atomic_folder
from malscan.dataset import LabelledCells
from malscan.doubt import Band
from malscan.labels import CLASSES
from malscan.metrics import Figure, PatientResult
from malscan.model import CARD, ErrorRates, Model, save_model, storable_name
from malscan.networks import Network, layer_table
from malscan.patients import patients_of
from malscan.predictor import weights_of
from malscan.preprocess import Preprocessing
from malscan.seen import SeenImages
from malscan.split import Split
from malscan.split_file import write_split
from malscan.training.card import model_card
from malscan.training.cells import Cells, Pixels
from malscan.training.checkpoint import Epoch
from malscan.training.keras_file import write_h5
from malscan.training.parts import Parts
from malscan.training.plots import SAMPLES, history_png, samples_png
from malscan.training.recipe import SplitKind
from malscan.training.settings import TrainSettings
from malscan.unlike import STATISTICS, UsualCells

_LIMITS_SHOWN = (1, 20, 100, 1000)
"""Images of a slide for which the description quotes the limit of a warning."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about a trained network.

    Attributes:
        history: one record an epoch.
        kept: the epoch whose weights are the model.
        temperature: calibrates probabilities.
        threshold: of a call.
        threshold_chosen: how it was chosen.
        uncertain: the doubt band that the model recommends, if any.
        uncertain_chosen: how it was chosen, or why there is none.
        measured_on: part that the figures are of.
        interval_unit: what the bootstrap draws: `patient`, or `cell` where nobody is known.
        figures: figures with intervals.
        patients: results of each patient, worst first.
        rates: error rates, where there are test patients.
        usual: what train and validation cells look like.
    """

    history: list[Epoch]
    kept: int
    temperature: float
    threshold: float
    threshold_chosen: str
    uncertain: Band | None
    uncertain_chosen: str
    measured_on: str
    interval_unit: str
    figures: dict[str, Figure]
    patients: list[PatientResult]
    rates: ErrorRates | None
    usual: UsualCells


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained network and all that is known of it.

    Attributes:
        network: its architecture.
        preprocessing: its input.
        trained: the network for inference.
        parts: the cells it was made with.
        findings: what was found out about it.
        seen: images that it has seen; None if a model that it builds on does not say.
        source: the model that the training started from, if any.
        teachers: the models that taught it.
        fingerprint: what the training depended on.
    """

    network: Network
    preprocessing: Preprocessing
    trained: keras.Model
    parts: Parts
    findings: Findings
    seen: SeenImages | None
    source: Model | None
    teachers: list[Model]
    fingerprint: dict[str, Any]


def write_model(
    settings: TrainSettings, model: TrainedModel, labelled: LabelledCells, split: Split
) -> None:
    """Write the folder beside its place and rename it when it is complete.

    Raises:
        MalscanError: it cannot be written; nothing half is left behind.
    """
    metadata = _metadata(settings, model)
    findings = model.findings
    advice = "The training is kept: make room, and the same command goes on."
    with _h5_only_with_the_model(settings.save_h5), atomic_folder(settings.out, advice) as folder:
        weights = weights_of(model.trained)
        save_model(folder, metadata, weights, findings.rates, model.seen, findings.usual)
        pd.DataFrame([asdict(epoch) for epoch in findings.history]).to_csv(
            folder / "history.csv", index=False, float_format="%.6f"
        )
        (folder / "history.png").write_bytes(history_png(findings.history, findings.kept))
        (folder / "samples.png").write_bytes(samples_png(_samples(model.parts.train)))
        write_split(folder / "split.csv", split, labelled)
        (folder / CARD).write_text(
            model_card(metadata), encoding="utf-8", errors="backslashreplace"
        )
        if settings.save_h5 is not None:
            write_h5(settings.save_h5, model.trained, settings.recipe)


@contextmanager
def _h5_only_with_the_model(path: Path | None) -> Iterator[None]:
    """Take a new Keras file away again where the model cannot be written after all.

    The same command, given again, would refuse to replace it.
    """
    was_there = path is not None and path.exists()
    try:
        yield
    except BaseException:
        if path is not None and not was_there:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise


def _samples(cells: Cells) -> dict[str, Pixels]:
    """Some training cells of each class, spread over the part."""
    chosen = {}
    for number, name in enumerate(CLASSES):
        places = np.flatnonzero(cells.classes == number)
        spread = places[np.linspace(0, len(places) - 1, min(SAMPLES, len(places)), dtype=int)]
        chosen[name] = np.concatenate(list(cells.store.batches(spread, SAMPLES)))
    return chosen


def _metadata(settings: TrainSettings, model: TrainedModel) -> dict[str, Any]:
    findings, source = model.findings, model.source
    return {
        "name": storable_name(settings.name or settings.out.name),
        "network": model.network.name,
        "layers": [asdict(layer) for layer in layer_table(model.trained)],
        "started_from": None if source is None else _named(source),
        "teachers": [_named(teacher) for teacher in model.teachers],
        "preprocessing": asdict(model.preprocessing),
        "classes": list(CLASSES),
        "threshold": findings.threshold,
        "threshold_chosen": findings.threshold_chosen,
        "uncertain": findings.uncertain,
        "uncertain_chosen": findings.uncertain_chosen,
        "temperature": findings.temperature,
        "recipe": asdict(settings.recipe),
        "machine": {
            "precision": model.fingerprint["precision"],
            "deterministic": settings.machine.deterministic,
        },
        "epochs_run": len(findings.history),
        "kept_epoch": findings.kept,
        "data": model.fingerprint["data"],
        "split_unit": "patient" if settings.split.kind is SplitKind.PATIENT else "cell",
        "split_kind": "file" if settings.split.file else str(settings.split.kind),
        "split": {name: _facts(part) for name, part in model.parts.by_name().items()},
        "left_out": {
            "unreadable": len(model.parts.failed),
            "contradictory": model.parts.contradictory,
            "copies": model.parts.copies,
        },
        "measured_on": findings.measured_on,
        "interval_unit": findings.interval_unit,
        "figures": {name: asdict(figure) for name, figure in findings.figures.items()},
        "patients": [asdict(patient) for patient in findings.patients],
        "unlike": {
            "statistics": list(STATISTICS),
            "patients": findings.usual.patients,
            "slide_limits": {str(n): findings.usual.limit(n) for n in _LIMITS_SHOWN},
        },
        "versions": model.fingerprint["versions"],
        "command": settings.command,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _named(model: Model) -> dict[str, str]:
    return {"name": model.name, "sha256": model.sha256}


def _facts(part: Cells) -> dict[str, Any]:
    return {
        "cells": len(part),
        "parasitized": int(part.positive.sum()),
        "patients": patients_of(part.images),
    }
