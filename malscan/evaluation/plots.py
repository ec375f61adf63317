"""Pictures of an evaluation, as a person would put them into a paper."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from sklearn import metrics as sklearn
from sklearn.calibration import calibration_curve

from malscan.bootstrap import BINS
from malscan.decode import decode
from malscan.evaluation.result import EvaluationResult
from malscan.metrics import Figure, PatientResult
from malscan.parasitaemia import apparent
from malscan.picture import UnreadableImageError
from malscan.prediction import Prediction
from malscan.report.row import written

# Okabe and Ito's colours, which people with any colour vision can tell apart.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.55"
PATIENTS_SHOWN = 40
ERRORS_SHOWN = 12
_COLUMNS = 6
_NAME_LENGTH = 26


def pictures(result: EvaluationResult) -> dict[str, bytes]:
    """The pictures by file name without suffix, as PNG; those that the data do not define miss."""
    judged = result.judged
    both = bool(judged.positive.any() and (~judged.positive).any())
    drawn = {"confusion_matrix": _confusion(result), "reliability": _reliability(result)}
    if both:
        drawn |= {"roc": _roc(result), "precision_recall": _precision_recall(result)}
    if any(one.parasitized for one in result.patients):
        drawn["patients"] = _patients(result.patients)
    if sheet := _errors(result):
        drawn["errors"] = sheet
    return drawn


def surest_errors(result: EvaluationResult, *, missed: bool) -> list[Prediction]:
    """The wrongly called cells of one class, the surest first, at most `ERRORS_SHOWN`."""
    judged = result.judged
    wrong = judged.called != judged.positive
    places = np.flatnonzero(wrong & (judged.positive == missed))
    sureness = judged.probability[places] * (1 if missed else -1)
    return [result.predictions[i] for i in places[np.argsort(sureness, kind="stable")]][
        :ERRORS_SHOWN
    ]


def _roc(result: EvaluationResult) -> bytes:
    judged = result.judged
    picture, axes = _square()
    false, true, _ = sklearn.roc_curve(judged.positive, judged.probability)
    axes.plot(100 * false, 100 * true, color=BLUE, label=f"AUC {_text(result.figures['roc_auc'])}")
    axes.plot([0, 100], [0, 100], color=GREY, linestyle=":", label="chance")
    at = 100 * float(judged.called[~judged.positive].mean())
    found = 100 * float(judged.called[judged.positive].mean())
    axes.plot(at, found, "o", color=ORANGE, markersize=9, label=f"threshold {judged.threshold:g}")
    axes.set(xlabel="false-positive rate (% of uninfected cells)", xlim=(-1, 101))
    axes.set(ylabel="sensitivity (% of parasitized cells)", ylim=(-1, 101))
    axes.legend(loc="lower right")
    return _png(picture)


def _precision_recall(result: EvaluationResult) -> bytes:
    judged = result.judged
    picture, axes = _square()
    precision, recall, _ = sklearn.precision_recall_curve(judged.positive, judged.probability)
    name = f"average precision {_text(result.figures['average_precision'])}"
    axes.step(100 * recall, 100 * precision, where="post", color=BLUE, label=name)
    share = 100 * float(judged.positive.mean())
    axes.axhline(share, color=GREY, linestyle=":", label=f"chance ({share:.0f} % parasitized)")
    ppv, sensitivity = result.figures["ppv"].value, result.figures["sensitivity"].value
    if ppv is not None and sensitivity is not None:
        label = f"threshold {judged.threshold:g}"
        axes.plot(100 * sensitivity, 100 * ppv, "o", color=ORANGE, markersize=9, label=label)
    axes.set(xlabel="sensitivity (% of parasitized cells)", xlim=(-1, 101))
    axes.set(ylabel="positive predictive value (% of calls)", ylim=(-1, 101))
    axes.legend(loc="lower left")
    return _png(picture)


def _reliability(result: EvaluationResult) -> bytes:
    judged = result.judged
    picture = Picture(figsize=(5.2, 6), layout="constrained")
    above, below = picture.subplots(2, sharex=True, height_ratios=(3, 1))
    observed, said = calibration_curve(judged.positive, judged.probability, n_bins=BINS)
    error = _text(result.figures["expected_calibration_error"])
    above.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect calibration")
    above.plot(said, observed, "o-", color=BLUE, label=f"ECE {error}")
    above.set(ylabel="share that is parasitized", ylim=(-0.03, 1.03))
    above.legend(loc="upper left")
    edges = np.linspace(0, 1, BINS + 1)
    below.hist(judged.probability, bins=edges.tolist(), color=BLUE)
    below.set(xlabel="probability that the model gives", ylabel="cells", xlim=(-0.02, 1.02))
    below.set_yscale("log")
    for axes in (above, below):
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    return _png(picture)


def _confusion(result: EvaluationResult) -> bytes:
    judged = result.judged
    picture = Picture(figsize=(5.2, 4.2), layout="constrained")
    axes = picture.subplots()
    counts = sklearn.confusion_matrix(judged.positive, judged.called, labels=[True, False])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            text = f"{counts[row, column]:,}\n{100 * shares[row, column]:.1f} %"
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=13)
    names = ("parasitized", "uninfected")
    axes.set_xticks(range(2), names)
    axes.set_yticks(range(2), names, rotation=90, va="center")
    axes.set(xlabel=f"called (threshold {judged.threshold:g})", ylabel="labelled (100 % a row)")
    return _png(picture)


def _patients(patients: Sequence[PatientResult]) -> bytes:
    """Sensitivity of each patient with parasitized cells, worst first, with Wilson intervals."""
    infected = sorted(
        (one for one in patients if one.sensitivity is not None),
        key=lambda one: (one.sensitivity or 0.0, -one.parasitized),
    )
    shown = infected[:PATIENTS_SHOWN]
    picture = Picture(figsize=(6.4, 1.3 + 0.22 * len(shown)), layout="constrained")
    axes = picture.subplots()
    for place, one in enumerate(shown):
        share = apparent(one.parasitized - one.missed, one.parasitized)
        assert share is not None
        axes.plot([100 * share.low, 100 * share.high], [place, place], color=BLUE, linewidth=1.5)
        axes.plot(100 * share.value, place, "o", color=BLUE, markersize=5)
    names = [f"{written(one.patient)}  ({one.parasitized})" for one in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8, parse_math=False)
    axes.set(xlim=(-1, 101), xlabel="sensitivity (% of parasitized cells, 95 % interval)")
    axes.set_ylabel("patient (parasitized cells)")
    if len(infected) > len(shown):
        axes.set_title(f"the {len(shown)} lowest of {len(infected)} patients", fontsize=10)
    axes.invert_yaxis()
    axes.grid(color="0.92")
    return _png(picture)


def _errors(result: EvaluationResult) -> bytes | None:
    """A contact sheet of the surest errors; None without any."""
    groups = {
        "labelled parasitized, called uninfected": surest_errors(result, missed=True),
        "labelled uninfected, called parasitized": surest_errors(result, missed=False),
    }
    groups = {title: cells for title, cells in groups.items() if cells}
    if not groups:
        return None
    rows = [-(-len(cells) // _COLUMNS) for cells in groups.values()]
    picture = Picture(figsize=(1.75 * _COLUMNS, 2.1 * sum(rows) + 0.5 * len(rows)))
    parts = picture.subfigures(len(groups), 1, squeeze=False, height_ratios=rows)
    for part, count, (title, cells) in zip(parts[:, 0], rows, groups.items(), strict=True):
        part.suptitle(f"{title} (surest first)", fontsize=11)
        grid = part.subplots(count, _COLUMNS, squeeze=False)
        part.subplots_adjust(0.01, 0.02, 0.99, 1 - 0.55 / (2.1 * count + 0.5), 0.08, 0.45)
        for axes in grid.flat:
            axes.axis("off")
            axes.set_anchor("N")
        for axes, cell in zip(grid.flat, cells, strict=False):
            _show(axes, cell, result.judged.threshold)
    return _png(picture)


def _show(axes: Axes, cell: Prediction, threshold: float) -> None:
    name = written(cell.image.path).rsplit("/", 1)[-1]
    short = name if len(name) <= _NAME_LENGTH else f"{name[:9]}...{name[3 - _NAME_LENGTH + 9 :]}"
    axes.set_title(f"{cell.probability:.3f}\n{short}", fontsize=7, parse_math=False)
    pixels = _pixels(cell.image.path)
    if pixels is not None:
        axes.imshow(pixels)


def _pixels(path: str) -> npt.NDArray[np.uint8] | None:
    try:
        return decode(Path(path).read_bytes(), any_size=True).pixels
    except (OSError, UnreadableImageError):
        return None


def _square() -> tuple[Picture, Axes]:
    picture = Picture(figsize=(5.2, 5.2), layout="constrained")
    axes = picture.subplots()
    axes.set_aspect("equal")
    axes.grid(color="0.92")
    return picture, axes


def _text(figure: Figure) -> str:
    value, span = figure.in_words(".3f")
    return f"{value} ({span})" if span else value


def _png(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
