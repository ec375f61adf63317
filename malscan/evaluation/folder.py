"""The folder of an evaluation: files and pictures, complete or absent."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from malscan import __version__
from malscan.atomic import atomic_folder
from malscan.errors import MalscanError
from malscan.evaluation.html import report_html
from malscan.evaluation.plots import pictures
from malscan.evaluation.result import EvaluationResult
from malscan.evaluation.settings import EvaluateSettings
from malscan.metrics import Figure, PatientResult
from malscan.model import Model
from malscan.own_record import is_own_record
from malscan.parasitaemia import apparent
from malscan.prediction import DECIMALS, Prediction
from malscan.report.csv import COLUMNS, csv_lines, row_cells
from malscan.report.row import row_of, written
from malscan.settings import Precision

SCHEMA = "malscan.evaluation/1"
METRICS = "metrics.json"
RED_CELLS_PER_MICROLITRE = 5_000_000
"""What counting practice assumes where nobody has counted (WHO, Basic Malaria Microscopy)."""


def check_target(out: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse, before any work, a folder that holds something else.

    Args:
        out: the folder to make or replace.
        inputs: what the evaluation reads.

    Raises:
        MalscanError: there is a folder that is no evaluation, or that holds an input.
    """
    for path in inputs:
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(out)):
            raise MalscanError(f"{out} holds {path}, and would be replaced. Name another folder.")
    own = is_own_record(out / METRICS, "evaluation")
    if out.is_dir() and any(out.iterdir()) and not own:
        raise MalscanError(
            f"{out} holds other things than an evaluation, and would be replaced. "
            "Name another folder."
        )


def write_evaluation(settings: EvaluateSettings, result: EvaluationResult) -> None:
    """Write the folder beside its place and rename it when it is complete.

    Raises:
        MalscanError: it cannot be written; an earlier evaluation stays as it was.
    """
    assert settings.out is not None
    with atomic_folder(settings.out) as folder:
        _fill(folder, settings, result)


def metrics(settings: EvaluateSettings, result: EvaluationResult) -> dict[str, Any]:
    """The content of `metrics.json`, as its schema `malscan.evaluation/1` has it."""
    positive, called = result.judged.positive, result.judged.called
    return {
        "schema": SCHEMA,
        "malscan": __version__,
        "research_use_only": True,
        "model": model_facts(result.model, result.precision, result.judged.threshold),
        "data": {
            "images": result.counts.images,
            "evaluated": result.counts.evaluated,
            "parasitized": int(positive.sum()),
            "uninfected": int((~positive).sum()),
            "patients": len(result.patients) or None,
            "failed": result.counts.failed,
            "set_aside_as_seen": result.counts.seen,
            "repeated": result.counts.repeated,
        },
        "interval": "2,000 bootstrap draws of patients; none where a figure hangs on one patient"
        if result.patients
        else "Wilson's for proportions, else 2,000 bootstrap draws of cells: patients unknown",
        "independence": str(result.independence),
        "seen_patients": [written(name) for name in result.seen_patients],
        "prevalence": settings.prevalence,
        "figures": _figures(result.figures),
        "patient_figures": _figures(result.patient_figures),
        "confusion": {
            "true_positive": int((positive & called).sum()),
            "false_negative": int((positive & ~called).sum()),
            "false_positive": int((~positive & called).sum()),
            "true_negative": int((~positive & ~called).sum()),
        },
        "false_positive_floor": false_positive_floor(result.figures["specificity"]),
        "failed": [{"path": written(one.image.path), "error": one.error} for one in result.failed],
        "contradictory": result.counts.contradictory,
        "comparison": _comparison(result),
        "gates": [{**asdict(gate), "met": gate.met} for gate in result.gates],
        "gate_on": str(settings.gates.on),
        "command": written(settings.command),
    }


def false_positive_floor(specificity: Figure) -> dict[str, dict[str, float | None]]:
    """The parasitaemia that a healthy slide seems to have, for this specificity.

    Returns:
        `percent` of the red cells and parasites `per_microlitre` at 5,000,000 red cells per
        microlitre, each with its interval.
    """
    low, high = specificity.high, specificity.low
    shares = {"value": specificity.value, "low": low, "high": high}
    floor = {name: None if share is None else 1 - share for name, share in shares.items()}
    return {
        "percent": {n: None if s is None else 100 * s for n, s in floor.items()},
        "per_microlitre": {
            n: None if s is None else RED_CELLS_PER_MICROLITRE * s for n, s in floor.items()
        },
    }


def model_facts(model: Model, precision: Precision, threshold: float) -> dict[str, Any]:
    """What a report says of a model."""
    return {
        "name": model.name,
        "sha256": model.sha256,
        "network": model.network,
        "assumed": list(model.assumed),
        "threshold": threshold,
        "precision": str(precision),
    }


def _fill(folder: Path, settings: EvaluateSettings, result: EvaluationResult) -> None:
    found = metrics(settings, result)
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / METRICS).write_text(text, encoding="utf-8")
    (folder / "predictions.csv").write_text(_predictions(result), encoding="utf-8", newline="")
    if result.patients:
        (folder / "patients.csv").write_text(_patients(result.patients), encoding="utf-8")
    if result.comparison is not None:
        lines = _disagreements(result)
        (folder / "disagreements.csv").write_text(lines, encoding="utf-8", newline="")
    drawn = pictures(result)
    for name, png in drawn.items():
        (folder / f"{name}.png").write_bytes(png)
    (folder / "report.html").write_text(report_html(found, result, drawn), encoding="utf-8")


def _figures(found: dict[str, Figure]) -> dict[str, Any]:
    return {name: asdict(figure) for name, figure in found.items()}


def _comparison(result: EvaluationResult) -> dict[str, Any] | None:
    other = result.comparison
    if other is None:
        return None
    return {
        "model": model_facts(other.model, result.precision, other.judged.threshold),
        "figures": _figures(other.figures),
        "differences": _figures(other.differences),
        "disagreements": len(other.disagreements),
    }


def _predictions(result: EvaluationResult) -> str:
    """The columns of a scan, and what is known of each image; all images, counted or not."""
    threshold = result.judged.threshold
    rows = [
        *_labelled_rows(result.predictions, threshold, "yes"),
        *_labelled_rows(result.set_aside, threshold, "no: seen by the model"),
        *_labelled_rows(result.failed, threshold, "no: failed"),
    ]
    header = (*COLUMNS, "label", "patient", "correct", "evaluated")
    return csv_lines([header, *sorted(rows, key=lambda row: str(row[0]))])


def _labelled_rows(
    predictions: Iterable[Prediction], threshold: float, evaluated: str
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for one in predictions:
        call = one.call(threshold)
        correct = None if call is None else ("yes" if call == one.image.label else "no")
        patient = None if one.image.patient is None else written(one.image.patient)
        cells = row_cells(row_of(one, threshold))
        rows.append((*cells, one.image.label, patient, correct, evaluated))
    return rows


def _patients(patients: Sequence[PatientResult]) -> str:
    header = (
        *("patient", "parasitized", "missed", "sensitivity", "sensitivity_low"),
        *("sensitivity_high", "uninfected", "false_alarms", "false_positive_rate"),
        *("false_positive_rate_low", "false_positive_rate_high"),
    )
    rows = [
        (
            written(one.patient),
            *(one.parasitized, one.missed),
            *_share(one.parasitized - one.missed, one.parasitized),
            *(one.uninfected, one.false_alarms),
            *_share(one.false_alarms, one.uninfected),
        )
        for one in patients
    ]
    return csv_lines([header, *rows])


def _share(part: int, whole: int) -> tuple[str | None, ...]:
    """A proportion and Wilson's interval of it."""
    found = apparent(part, whole)
    if found is None:
        return None, None, None
    return tuple(f"{x:.{DECIMALS}f}" for x in (found.value, found.low, found.high))


def _disagreements(result: EvaluationResult) -> str:
    other = result.comparison
    assert other is not None
    names = [written(result.model.name), written(other.model.name)]
    if names[0] == names[1]:
        names[1] += " (compared)"
    header = ("path", "label", "patient", *names)
    rows = []
    for place in other.disagreements:
        image = result.predictions[place].image
        both = (result.judged.probability[place], other.judged.probability[place])
        patient = None if image.patient is None else written(image.patient)
        probabilities = (f"{probability:.{DECIMALS}f}" for probability in both)
        rows.append((written(image.path), image.label, patient, *probabilities))
    return csv_lines([header, *rows])
