"""Evaluate: labelled cells and a model in, figures with intervals, files and pictures out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from malscan.atomic import locked
from malscan.bootstrap import Floats
from malscan.dataset import LabelledCells, check_failed, labelled_cells
from malscan.devices import use_device
from malscan.errors import ExitCode
from malscan.evaluation.folder import check_target, write_evaluation
from malscan.evaluation.result import (
    Comparison,
    Counts,
    EvaluationResult,
    GateResult,
)
from malscan.evaluation.selection import Selection, select
from malscan.evaluation.settings import EvaluateSettings, GateOn
from malscan.labels import PARASITIZED
from malscan.metrics import (
    Figure,
    Judged,
    draw_figures,
    figures,
    interval,
    patient_figures,
    per_patient,
)
from malscan.model import Model, find_model, load_seen_images, open_model
from malscan.prediction import Prediction
from malscan.predictor import Predictor
from malscan.report.row import written
from malscan.settings import KerasFileSettings


@dataclass(frozen=True, slots=True)
class EvaluateListener:
    """Whom to tell how an evaluation goes; an exception from a call ends it.

    Attributes:
        on_message: one line about what goes on.
        on_images: number of images that were just predicted, and of all to predict.
    """

    on_message: Callable[[str], object] = lambda text: None
    on_images: Callable[[int, int], object] = lambda done, images: None


def evaluate(
    settings: EvaluateSettings, listener: EvaluateListener = EvaluateListener()
) -> EvaluationResult:
    """Judge a model by labelled cells of patients whom it has not seen.

    Args:
        settings: what to evaluate, on what, and where to.
        listener: whom to tell how it goes.

    Raises:
        UsageError: no such data or model.
        LockedError: another run writes to the same folder.
        MalscanError: data or a model that cannot be used, nothing left to judge by, or a
            folder that cannot be written.
    """
    with locked([] if settings.out is None else [settings.out]):
        paths = [find_model(settings.model)]
        if settings.compare is not None:
            paths.append(find_model(settings.compare))
        if settings.out is not None:
            data = settings.data
            check_target(settings.out, [data.data, *data.patient_maps, *paths])
        labelled = labelled_cells(settings.data, both_classes=False)
        for note in labelled.notes:
            listener.on_message(note)
        models = _models(paths, settings.keras_file)
        use_device(settings.computing.device)
        seen = [load_seen_images(path, model) for path, model in zip(paths, models, strict=True)]
        predictions = [
            _predict(model, labelled, settings, len(models), listener) for model in models
        ]
        readable = _read_by_all(predictions)
        selection = select(readable, seen, allow_seen=settings.allow_seen)
        failed = [(one.image.path, str(one.error)) for one in selection.failed]
        check_failed(failed, len(predictions[0]), allowed=settings.allow_failed)
        unknown = sum(one.image.patient is None for one in selection.evaluated)
        if 0 < unknown < len(selection.evaluated):
            listener.on_message(
                f"Warning: the patient of {unknown} of {len(selection.evaluated)} cells is not "
                "known, so intervals are over single cells, and too narrow"
            )
        listener.on_message("Drawing patients for the intervals")
        result = _judge(settings, models, predictions, selection)
        if settings.out is not None:
            listener.on_message("Drawing and writing")
            write_evaluation(settings, result)
    return result


def _models(paths: list[Path], stated: KerasFileSettings) -> list[Model]:
    """The models; what is stated is for those that are files."""
    files = [path for path in paths if not path.is_dir()]
    return [
        open_model(path, stated if path in files or not files else KerasFileSettings())
        for path in paths
    ]


def _predict(
    model: Model,
    labelled: LabelledCells,
    settings: EvaluateSettings,
    models: int,
    listener: EvaluateListener,
) -> list[Prediction]:
    predictions: list[Prediction] = []
    for batch in Predictor(model, precision=settings.computing.inference).predict(
        labelled.cells,
        batch_size=settings.batch_size,
        any_size=settings.data.any_size,
        hashed=True,
    ):
        predictions += batch
        listener.on_images(len(batch), models * len(labelled.cells))
    return predictions


def _read_by_all(predictions: list[list[Prediction]]) -> list[Prediction]:
    """Predictions of the first model; failed where a file changed before another read it."""
    return [
        next((one for one in of_image if one.error is not None), of_image[0])
        for of_image in zip(*predictions, strict=True)
    ]


def _judge(
    settings: EvaluateSettings,
    models: list[Model],
    predictions: list[list[Prediction]],
    selection: Selection,
) -> EvaluationResult:
    model = models[0]
    judged = _judged(selection.evaluated, _threshold(settings, model))
    found = figures(judged, prevalence=settings.prevalence)
    patients = per_patient(judged)
    comparison = None
    if len(models) > 1:
        comparison = _compare(settings, models[1], predictions[1], selection, judged, found)
    gates = [
        GateResult(name, limit, _gated(found[name], settings.gates.on))
        for name, limit in settings.gates.limits().items()
    ]
    code = ExitCode.SOME_UNREADABLE if selection.failed else ExitCode.OK
    if not all(gate.met for gate in gates):
        code = ExitCode.GATE_MISSED
    return EvaluationResult(
        model=model,
        precision=settings.computing.inference,
        judged=judged,
        predictions=selection.evaluated,
        set_aside=selection.set_aside,
        failed=selection.failed,
        counts=_counts(selection),
        seen_patients=selection.seen_patients,
        independence=selection.independence,
        figures=found,
        patient_figures=patient_figures(patients) if patients else {},
        patients=patients,
        comparison=comparison,
        gates=gates,
        out=settings.out,
        exit_code=code,
    )


def _threshold(settings: EvaluateSettings, model: Model) -> float:
    return model.threshold if settings.threshold is None else settings.threshold


def _gated(figure: Figure, on: GateOn) -> float | None:
    return figure.value if on is GateOn.POINT else figure.low


def _judged(predictions: Sequence[Prediction], threshold: float) -> Judged:
    patients = [prediction.image.patient for prediction in predictions]
    known = [patient for patient in patients if patient is not None]
    return Judged(
        positive=np.array([p.image.label == PARASITIZED for p in predictions]),
        probability=np.array([p.probability for p in predictions], np.float64),
        patients=known if len(known) == len(patients) else None,
        threshold=threshold,
    )


def _compare(
    settings: EvaluateSettings,
    model: Model,
    predictions: list[Prediction],
    selection: Selection,
    first: Judged,
    first_figures: dict[str, Figure],
) -> Comparison:
    """The second model on the very cells that the first is judged by."""
    by_path = {prediction.image.path: prediction for prediction in predictions}
    same = [by_path[prediction.image.path] for prediction in selection.evaluated]
    judged = _judged(same, _threshold(settings, model))
    found = figures(judged, prevalence=settings.prevalence)
    drawn = [draw_figures(one, prevalence=settings.prevalence) for one in (first, judged)]
    differences = {
        name: _difference(first_figures[name], found[name], drawn[0][name] - drawn[1][name])
        for name in found
    }
    disagreements = np.flatnonzero(first.called != judged.called).tolist()
    return Comparison(model, judged, found, differences, disagreements)


def _difference(first: Figure, second: Figure, drawn: Floats) -> Figure:
    if first.value is None or second.value is None:
        return Figure(None, None, None)
    known = first.low is not None and second.low is not None
    return Figure(first.value - second.value, *(interval(drawn) if known else (None, None)))


def _counts(selection: Selection) -> Counts:
    def path(place: int) -> str:
        return written(selection.readable[place].image.path)

    return Counts(
        images=len(selection.readable) + len(selection.failed),
        evaluated=len(selection.evaluated),
        failed=len(selection.failed),
        seen=len(selection.set_aside),
        contradictory=[
            [path(place) for place in group] for group in selection.copies.contradictions
        ],
        repeated=selection.copies.within,
    )
