"""Scan: walk, predict, report."""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from malscan import __version__
from malscan.atomic import locked, write_atomically
from malscan.cluster.settings import ClusterSettings
from malscan.doubt import Band, band_to_use
from malscan.errors import ExitCode, MalscanError, StoppedError
from malscan.memory import loading_tensorflow
from malscan.model import Model, find_model, open_model
from malscan.prediction import Prediction
from malscan.report.failed import FailedList
from malscan.report.formats import open_report
from malscan.report.interface import ModelFacts, Report, ScanFacts
from malscan.report.montage import Montage
from malscan.report.names import STDOUT, run_record_path
from malscan.report.places import check_places
from malscan.report.row import row_of, written
from malscan.report.summary import Summary, Tally
from malscan.scanning.counts import Counts
from malscan.scanning.fingerprint import fingerprint
from malscan.scanning.in_order import Outcome, Predict, outcomes
from malscan.scanning.listener import Progress, ScanListener
from malscan.scanning.phases import Phases
from malscan.scanning.state import State, opened_state
from malscan.scanning.watched import Watched
from malscan.settings import ScanSettings
from malscan.walk import CellImage, Walk, no_image_error

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan found.

    Attributes:
        summary: counts and parasitaemia, slide by slide and in total.
        counts: what became of the images.
        model: the model that was used.
        threshold: probability from which a cell was called parasitized.
        uncertain: the doubt band, if there was one.
        min_cells: classified images that a slide needed to be reliable.
        skipped: entries passed over because they are hidden or no images.
        notes: what else the user must be told, such as parts of the tree that were left out.
        seconds: duration.
        exit_code: `OK` or `SOME_UNREADABLE`.
    """

    summary: Summary
    counts: Counts
    model: Model
    threshold: float
    uncertain: Band | None
    min_cells: int
    skipped: int
    notes: list[str]
    seconds: float
    exit_code: ExitCode


def scan(settings: ScanSettings, listener: ScanListener = ScanListener()) -> ScanResult:
    """Scan cell images and write reports.

    What is computed is kept beside the first report as the scan goes: a scan that does not come
    to its end goes on from there when it is run again.

    Args:
        settings: what to scan, how, and where to.
        listener: whom to tell how it goes.

    Raises:
        LockedError: another run writes one of the reports.
        StoppedError: the listener asked to stop.
        MalscanError: no image, no valid model, a report that cannot be written, or a drive that
            gives nothing any more.
    """
    files = [Path(out) for out in settings.outs if out != STDOUT]
    nightly = settings.nightly
    others = [path for path in (settings.failed_to, settings.montage) if path is not None]
    with locked([*files, *others], wait=nightly.wait, check=listener.check):
        check_places(settings)
        scan = _Scan(settings, listener, files)
        on_cluster, device = settings.cluster is not None, settings.computing.device
        known = fingerprint(scan.model, scan.facts, device=device, on_cluster=on_cluster)
        first = files[0] if files else None
        with opened_state(first, known, nightly, listener.on_message) as state:
            return scan.run(state)


class _Scan:
    """One scan under way."""

    def __init__(self, settings: ScanSettings, listener: ScanListener, files: list[Path]) -> None:
        self._started = datetime.now(UTC)
        self._start = time.monotonic()
        self._settings = settings
        self._listener = listener
        self._files = files
        self._walk = Walk(settings.paths, listed=settings.listed, selection=settings.selection)
        self._counts = Counts()
        self._phases = Phases()
        self._phases.begin("opening the model")
        place = find_model(settings.model)
        self.model = open_model(place, settings.keras_file)
        _log.info("model %s: %s, sha256 %s", self.model.name, place, self.model.sha256)
        given = settings.threshold
        threshold = self.model.threshold if given is None else given
        uncertain, about_band = band_to_use(settings.uncertain, self.model.uncertain, threshold)
        self._notes = [] if about_band is None else [about_band]
        self._tally = Tally(threshold, settings.min_cells)
        self.facts = ScanFacts(
            threshold=threshold,
            uncertain=uncertain,
            min_cells=settings.min_cells,
            batch_size=settings.batch_size,
            precision=str(settings.computing.inference),
            any_size=settings.any_size,
            summary_only=settings.summary_only,
        )

    def run(self, state: State) -> ScanResult:
        """Deal with all images, and publish the reports."""
        self._phases.begin("getting under way")
        try:
            with ExitStack() as stack:
                found = stack.enter_context(self._found(state))
                reports = stack.enter_context(_opened(self._settings))
                for some in found:
                    self._take(some, state, reports)
                summary = self._finish(reports)
                state.finish()
        except StoppedError as stop:
            raise StoppedError(stop.exit_code, f"{stop} {self._left_behind()}") from None
        self._phases.end()
        _log.info("times: %s", self._phases)
        clean = self._settings.keep_going or not self._counts.unreadable
        return ScanResult(
            summary=summary,
            counts=self._counts,
            model=self.model,
            threshold=self.facts.threshold,
            uncertain=self.facts.uncertain,
            min_cells=self._settings.min_cells,
            skipped=self._walk.skipped,
            notes=[*self._walk.notes, *self._notes],
            seconds=self._seconds(),
            exit_code=ExitCode.OK if clean else ExitCode.SOME_UNREADABLE,
        )

    @contextmanager
    def _found(self, state: State) -> Iterator[Iterator[list[Outcome]]]:
        """What is found, image by image, in another thread than this."""
        timeout = self._settings.nightly.stall_timeout
        # Jobs of a batch system are taken back at the end, which takes its time.
        more_seconds = 0 if self._settings.cluster is None else 50
        watched = Watched[list[Outcome]](
            timeout,
            self._listener.check,
            self._left_behind,
            more_seconds,
            lambda: self._walk.entries,
        )
        with watched:
            if self._settings.cluster is None:
                predict = _predict(self.model, self._settings, watched)
            else:
                predict = self._predict_on_cluster(self._settings.cluster, watched)
            found = watched.items(outcomes(self._walk, state.decide, predict))
            yield found if self._settings.allow_empty else _at_least_one(found, self._walk)

    def _predict_on_cluster(
        self, cluster: ClusterSettings, watched: Watched[list[Outcome]]
    ) -> Predict:
        from malscan.cluster.pool import Patience
        from malscan.cluster.predict import predict_on_cluster

        patience = Patience(
            watched.check_wanted,
            watched.busy,
            lambda: f"Stopped {self._left_behind()}",
            self._listener.on_message,
            watched.heard,
        )
        return predict_on_cluster(self.model, self._settings, cluster, patience)

    def _take(self, some: list[Outcome], state: State, reports: Iterable[Report]) -> None:
        """Write down the outcomes of some consecutive images."""
        self._phases.begin("images")
        threshold, uncertain = self.facts.threshold, self.facts.uncertain
        rows = [row_of(outcome.prediction, threshold, uncertain) for outcome in some]
        for row in rows:
            if row.error is not None:
                _log.warning("slide %s: %s: %s", row.slide, row.path, row.error)
        state.add(some)
        if self._settings.fail_on_failed:
            _check_failures(some)
        for report in reports:
            report.write(rows)
        self._tally.add(rows)
        self._counts.add(some, rows)
        total = self._walk.images if self._walk.finished else None
        counts = self._counts
        self._listener.on_progress(Progress(counts.done, counts.unreadable, total))
        self._listener.check()

    def _finish(self, reports: list[Report]) -> Summary:
        """Complete the reports and give them their names, the first one last.

        Where the first one is, the others are, too.
        """
        self._phases.begin("completing the reports")
        model = self.model
        summary = self._tally.summary(model.error_rates, model.usual)
        facts = ModelFacts(model.name, model.sha256, model.network, model.assumed)
        for report in reports:
            report.finish(facts, self.facts, summary)
            if isinstance(report, FailedList):
                self._notes += report.notes()
        if self._files:
            write_atomically(run_record_path(self._files[0]), self._record(facts).encode())
        for report in reversed(reports):
            report.publish()
        return summary

    def _record(self, model: ModelFacts) -> str:
        """What happened on this run, apart from the reports, which hold no times."""
        counts = self._counts
        record = {
            "malscan": __version__,
            "model": asdict(model),
            "started": self._started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(self._seconds(), 3),
            "images": counts.done,
            "computed": counts.done - counts.reused - counts.unsettled,
            "reused": counts.reused,
            "failed": counts.unreadable,
            "left_for_next_run": counts.unsettled,
            "skipped": self._walk.skipped,
        }
        return json.dumps(record, indent=2) + "\n"

    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _left_behind(self) -> str:
        """What there is of a scan that does not come to its end, and what to do."""
        so_far = f"after {self._counts.done} images; no report was written"
        if not self._files:
            return so_far
        return f"{so_far}, but what was computed is kept: the same command goes on from there"


def _at_least_one(found: Iterator[list[Outcome]], walk: Walk) -> Iterator[list[Outcome]]:
    """The same, after making sure that there is something."""
    for some in found:
        if some:
            return chain([some], found)
    raise no_image_error(walk)


@contextmanager
def _opened(settings: ScanSettings) -> Iterator[list[Report]]:
    """Open all reports; whatever was not published when the context ends is discarded."""
    with ExitStack() as stack:
        reports: list[Report] = []
        for report in _reports(settings):
            stack.callback(report.discard)
            reports.append(report)
        yield reports


def _reports(settings: ScanSettings) -> Iterator[Report]:
    for out in settings.outs:
        yield open_report(out, summary_only=settings.summary_only)
    if settings.failed_to is not None:
        yield FailedList(settings.failed_to, null=settings.null)
    if settings.montage is not None:
        yield Montage(settings.montage)


def _predict(model: Model, settings: ScanSettings, watched: Watched[list[Outcome]]) -> Predict:
    """Computes images; TensorFlow is loaded at its first call, if there is one."""

    def predict(images: Iterator[CellImage | None]) -> Iterator[list[Prediction]]:
        with watched.busy():
            start = time.monotonic()
            with loading_tensorflow():
                from malscan.devices import devices_in_words, use_device
                from malscan.predictor import Predictor

            use_device(settings.computing.device)
            predictor = Predictor(model, precision=settings.computing.inference)
            _log.info(
                "loaded TensorFlow and the network in %.1f s; computing on %s in %s",
                time.monotonic() - start,
                devices_in_words(),
                settings.computing.inference,
            )
        yield from predictor.predict(
            images, batch_size=settings.batch_size, any_size=settings.any_size
        )

    return predict


def _check_failures(outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        prediction = outcome.prediction
        if prediction.error is not None and not prediction.unsettled:
            path = written(prediction.image.path)
            raise MalscanError(f"{path}: {prediction.error} (--fail-on-failed: no report written)")
