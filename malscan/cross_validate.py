"""Cross-validation by patient: a model for each fold, and how far their figures lie apart."""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from malscan.atomic import publish_folder, write_atomically
from malscan.dataset import LabelledCells
from malscan.errors import ExitCode, MalscanError, UsageError
from malscan.metrics import Figure
from malscan.model import METADATA, find_model, load_model, storable_name
from malscan.patients import patients_of, read_patient_list, with_known_patient
from malscan.split import Split, split_into_folds
from malscan.train import TrainListener, read_labelled
from malscan.training.fingerprint import data_fingerprint
from malscan.training.fold import Fold
from malscan.training.one_model import train_split
from malscan.training.settings import TrainSettings
from malscan.training.workplace import FOLDS_RECORD, drop_caches, workplace
from malscan.versions import versions

FOLDS_SCHEMA = "malscan.folds/1"
STARTED = "started.json"
"""Record of what the folds of an unfinished run belong to."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the folds: its mean and standard deviation (of a sample, n - 1)."""

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class FoldsResult:
    """A finished cross-validation.

    Attributes:
        out: folder that holds a model folder for each fold.
        folds: figures of each fold on its test patients.
        spread: mean and deviation of each figure over the folds.
        exit_code: `OK` or `SOME_UNREADABLE`.
    """

    out: Path
    folds: list[dict[str, Figure]]
    spread: dict[str, Spread]
    exit_code: ExitCode


def cross_validate(
    settings: TrainSettings, listener: TrainListener = TrainListener()
) -> FoldsResult:
    """Train a model for each fold; every patient is a test patient exactly once.

    Test patients that the settings name are left out of all folds. Folds that a killed run
    has finished are not trained again.

    Args:
        settings: what to train, with the number of folds.
        listener: whom to tell how it goes.

    Raises:
        LockedError: another training writes to the same place.
        MalscanError: as of `malscan.train.train`, or fewer patients than folds.
    """
    if not settings.split.folds:
        raise UsageError("a cross-validation needs a number of folds (--folds)")
    with workplace(settings) as state:
        labelled = read_labelled(settings, listener)
        if settings.cluster is not None:
            labelled = labelled.absolute()
        splits = _splits(settings, labelled)
        done = state / "folds"
        _start_or_go_on(settings, labelled, done, listener)
        folds = _folds(settings, splits, state, listener)
        if settings.cluster is None:
            for fold in folds:
                listener.on_message(f"fold {fold.number} of {len(splits)}")
                train_split(fold.settings, labelled, fold.split, fold.state, listener)
                drop_caches(fold.state)
        elif folds:
            from malscan.cluster.folds import train_folds

            train_folds(folds, labelled, settings.cluster, listener)
        return _gather(settings, done, len(splits))


def _folds(
    settings: TrainSettings, splits: list[Split], state: Path, listener: TrainListener
) -> list[Fold]:
    """The folds that have not been trained yet."""
    folds = []
    for number, split in enumerate(splits, start=1):
        out = state / "folds" / f"fold-{number}"
        if (out / METADATA).is_file():
            listener.on_message(f"fold {number} of {len(splits)}: finished before")
            continue
        fold_state = state / f"fold-{number}"
        fold_state.mkdir(exist_ok=True)
        name = storable_name(settings.name or settings.out.name, f"-fold-{number}")
        events = settings.tensorboard and settings.tensorboard / f"fold-{number}"
        fold_settings = replace(settings, out=out, name=name, tensorboard=events)
        folds.append(Fold(number, fold_settings, split, fold_state))
    return folds


def _splits(settings: TrainSettings, labelled: LabelledCells) -> list[Split]:
    cells, chosen = with_known_patient(labelled.cells), settings.split.test_patients
    kept_apart = read_patient_list(chosen) if chosen else frozenset()
    if missing := kept_apart - set(patients_of(cells)):
        raise MalscanError(f"test patients not in the data: {', '.join(sorted(missing))}")
    return split_into_folds(
        [cell for cell in cells if cell.patient not in kept_apart],
        folds=settings.split.folds,
        seed=settings.recipe.seed,
        validation_share=settings.split.validation_share,
    )


def _start_or_go_on(
    settings: TrainSettings, labelled: LabelledCells, done: Path, listener: TrainListener
) -> None:
    """Keep the folds of a killed run of the very same cross-validation, and no others."""
    chosen = settings.split.test_patients
    source = None if settings.start_from is None else find_model(settings.start_from)
    wanted = {
        "data": data_fingerprint(labelled),
        "folds": settings.split.folds,
        "validation_share": settings.split.validation_share,
        "left_out": sorted(read_patient_list(chosen)) if chosen else [],
        "network": str(settings.network),
        "started_from": None if source is None else load_model(source).sha256,
        "teachers": [load_model(find_model(place)).sha256 for place in settings.teachers],
        "recipe": asdict(settings.recipe),
        "precision": str(settings.machine.precision),
        "versions": versions(),
        "deterministic": settings.machine.deterministic,
        "threshold_for": None if settings.threshold_for is None else str(settings.threshold_for),
        "patients": [cell.patient for cell in labelled.cells],
        "any_size": settings.data.any_size,
    }
    record = done / STARTED
    try:
        if json.loads(record.read_text("utf-8")) == wanted:
            return
        listener.on_message("the folds of an earlier run are of other data or settings: afresh")
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        listener.on_message("the state of an earlier run is damaged: starting afresh")
    shutil.rmtree(done, ignore_errors=True)
    done.mkdir()
    write_atomically(record, json.dumps(wanted).encode())


def _gather(settings: TrainSettings, done: Path, folds: int) -> FoldsResult:
    models = [
        json.loads((done / f"fold-{number}" / METADATA).read_text("utf-8"))
        for number in range(1, folds + 1)
    ]
    figures = [
        {name: Figure(**figure) for name, figure in model["figures"].items()} for model in models
    ]
    spread = {name: _spread([fold[name].value for fold in figures]) for name in figures[0]}
    record = {
        "schema": FOLDS_SCHEMA,
        "name": storable_name(settings.name or settings.out.name),
        "split_unit": "patient",
        "folds": [
            {
                "test_patients": model["split"]["test"]["patients"],
                "test_cells": model["split"]["test"]["cells"],
                "figures": model["figures"],
            }
            for model in models
        ],
        "spread": {name: asdict(value) for name, value in spread.items()},
        "command": settings.command,
    }
    try:
        _table(figures, spread).to_csv(done / "folds.csv", float_format="%.6f")
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (done / FOLDS_RECORD).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise MalscanError(f"cannot write {settings.out}: {error.strerror}") from None
    publish_folder(done, settings.out)
    (settings.out / STARTED).unlink(missing_ok=True)
    failed = any(model["left_out"]["unreadable"] for model in models)
    code = ExitCode.SOME_UNREADABLE if failed else ExitCode.OK
    return FoldsResult(settings.out, figures, spread, code)


def _spread(values: list[float | None]) -> Spread:
    known = [value for value in values if value is not None]
    return Spread(float(np.mean(known)), float(np.std(known, ddof=1)))


def _table(figures: list[dict[str, Figure]], spread: dict[str, Spread]) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {
        str(number): {name: figure.value for name, figure in fold.items()}
        for number, fold in enumerate(figures, start=1)
    }
    rows["mean"] = {name: value.mean for name, value in spread.items()}
    rows["standard deviation"] = {name: value.deviation for name, value in spread.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")
