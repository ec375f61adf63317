"""Scan: walk, predict, report."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from malscan import __version__
from malscan.atomic import AtomicFile, locked
from malscan.errors import ExitCode, MalscanError, StoppedError
from malscan.model import Model, find_model, open_model
from malscan.prediction import Prediction
from malscan.report.formats import open_report
from malscan.report.interface import ModelFacts, Report, ScanFacts
from malscan.report.names import STDOUT, run_record_path
from malscan.report.row import Row, row_of
from malscan.report.summary import Summary, Tally
from malscan.settings import ScanSettings
from malscan.walk import CellImage, Walk

PRECISION = "float32"
FAILURES_KEPT = 10


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan found.

    Attributes:
        summary: counts and parasitaemia, slide by slide and in total.
        model: the model that was used.
        threshold: probability from which a cell was called parasitized.
        skipped: entries passed over because they are hidden or no images.
        notes: parts of the tree that were left out on purpose.
        grey: images without colour, by slide.
        failures: the first few images that could not be read.
        seconds: duration.
        exit_code: `OK` or `SOME_UNREADABLE`.
    """

    summary: Summary
    model: Model
    threshold: float
    skipped: int
    notes: list[str]
    grey: dict[str, int]
    failures: list[Row]
    seconds: float
    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is.

    Attributes:
        done: images dealt with.
        failed: of these, images that could not be read.
        total: images in all; None until the walk has ended.
    """

    done: int
    failed: int
    total: int | None


def scan(
    settings: ScanSettings, on_progress: Callable[[Progress], object] = lambda progress: None
) -> ScanResult:
    """Scan cell images and write reports.

    Args:
        settings: what to scan, how, and where to.
        on_progress: called after each batch; an exception it raises ends the scan, and no
            report is written.

    Raises:
        LockedError: another run writes one of the reports.
        MalscanError: no image, no valid model, a report that cannot be written.
    """
    clock = _Clock()
    walk = Walk(settings.paths, listed=settings.listed)
    files = [Path(out) for out in settings.outs if out != STDOUT]
    with locked(files):
        model = open_model(find_model(settings.model), settings.keras_file)
        threshold = model.threshold if settings.threshold is None else settings.threshold
        images = _at_least_one(walk, settings.allow_empty)
        with _opened(settings.outs) as reports:
            tally = Tally()
            counts = _Counts()
            for predictions in _predict(model, images, settings):
                rows = [row_of(prediction, threshold) for prediction in predictions]
                _check_failures(rows, settings)
                for report in reports:
                    report.write(rows)
                tally.add(rows)
                counts.add(predictions, rows)
                _tell(on_progress, counts, walk)
            summary = tally.summary(model.error_rates, threshold, model.usual)
            for report in reports:
                report.finish(_model_facts(model), _scan_facts(settings, threshold), summary)
            _publish(reports, files, _run_record(clock, summary, walk, _model_facts(model)))
    clean = settings.keep_going or not summary.total.failed
    return ScanResult(
        summary=summary,
        model=model,
        threshold=threshold,
        skipped=walk.skipped,
        notes=walk.notes,
        grey=dict(counts.grey),
        failures=counts.failures,
        seconds=clock.seconds(),
        exit_code=ExitCode.OK if clean else ExitCode.SOME_UNREADABLE,
    )


class _Clock:
    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self._start = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._start


class _Counts:
    def __init__(self) -> None:
        self.done = 0
        self.failed = 0
        self.grey: Counter[str] = Counter()
        self.failures: list[Row] = []

    def add(self, predictions: Iterable[Prediction], rows: Iterable[Row]) -> None:
        for prediction, row in zip(predictions, rows, strict=True):
            self.done += 1
            self.failed += row.error is not None
            if row.error is not None and len(self.failures) < FAILURES_KEPT:
                self.failures.append(row)
            if prediction.grey:
                self.grey[row.slide] += 1


def _at_least_one(walk: Walk, allow_empty: bool) -> Iterator[CellImage]:
    """The walk, after making sure that it finds something."""
    images = iter(walk)
    first = next(images, None)
    if first is not None:
        return chain([first], images)
    if allow_empty:
        return iter(())
    skipped = f" ({walk.skipped} other files were passed over)" if walk.skipped else ""
    raise MalscanError(
        f"no image found{skipped}. Give folders that hold PNG, JPEG, TIFF, WebP, BMP or GIF "
        "files; --allow-empty makes this an empty report."
    )


@contextmanager
def _opened(outs: Iterable[str]) -> Iterator[list[Report]]:
    """Open all reports; whatever was not published when the context ends is discarded."""
    with ExitStack() as stack:
        reports = []
        for out in outs:
            report = open_report(out)
            stack.callback(report.discard)
            reports.append(report)
        yield reports


def _predict(
    model: Model, images: Iterator[CellImage], settings: ScanSettings
) -> Iterator[list[Prediction]]:
    """Predict; TensorFlow is loaded here, after everything that is cheap to check."""
    first = next(images, None)
    if first is None:
        return
    from malscan.predictor import Predictor

    yield from Predictor(model).predict(
        chain([first], images), batch_size=settings.batch_size, any_size=settings.any_size
    )


def _check_failures(rows: Iterable[Row], settings: ScanSettings) -> None:
    if not settings.fail_on_failed:
        return
    for row in rows:
        if row.error is not None:
            raise MalscanError(f"{row.path}: {row.error} (--fail-on-failed: no report written)")


def _tell(on_progress: Callable[[Progress], object], counts: _Counts, walk: Walk) -> None:
    total = walk.images if walk.finished else None
    try:
        on_progress(Progress(counts.done, counts.failed, total))
    except StoppedError as stop:
        raise StoppedError(
            stop.exit_code, f"{stop} after {counts.done} images; no report was written"
        ) from None


def _model_facts(model: Model) -> ModelFacts:
    return ModelFacts(model.name, model.sha256, model.network, model.assumed)


def _scan_facts(settings: ScanSettings, threshold: float) -> ScanFacts:
    return ScanFacts(threshold, settings.batch_size, PRECISION, settings.any_size)


def _run_record(clock: _Clock, summary: Summary, walk: Walk, model: ModelFacts) -> str:
    """What happened on this run, apart from the reports, which hold no times."""
    record = {
        "malscan": __version__,
        "model": asdict(model),
        "started": clock.started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(clock.seconds(), 3),
        "images": summary.total.images,
        "computed": summary.total.images,
        "reused": 0,
        "failed": summary.total.failed,
        "skipped": walk.skipped,
    }
    return json.dumps(record, indent=2) + "\n"


def _publish(reports: list[Report], files: list[Path], run_record: str) -> None:
    """Give the reports their names, the first one last: where it is, the others are too."""
    if files:
        with AtomicFile(run_record_path(files[0])) as run:
            run.write(run_record)
            run.close()
            run.publish()
    for report in reversed(reports):
        report.publish()
