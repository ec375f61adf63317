"""The state of a scan between runs: what an unfinished or an earlier run has computed already.

Beside the first report lies the folder `.NAME.malscan` with two journals: of the run that goes
on, or was killed, and of the last one that came to its end.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from malscan.current_folder import current_folder
from malscan.errors import MalscanError
from malscan.prediction import Prediction
from malscan.scanning.fingerprint import Fingerprint, changed
from malscan.scanning.in_order import Outcome, Pending
from malscan.scanning.journal import DamagedError, Entry, Journal, open_journal, remove
from malscan.scanning.version import Version, version_of
from malscan.settings import NightlySettings
from malscan.walk import CellImage

RUNNING = "running.sqlite"
FINISHED = "finished.sqlite"

Message = Callable[[str], object]


def state_folder(report: Path) -> Path:
    """Where the state of the scan lies whose first report this is."""
    target = Path(os.path.realpath(report))
    return target.with_name(f".{target.name}.malscan")


class State:
    """What earlier runs know, and what this one gets to know."""

    def __init__(
        self,
        running: Journal | None,
        earlier: list[Journal],
        settings: NightlySettings,
        message: Message,
    ) -> None:
        """See `opened_state`."""
        self._running = running
        self._earlier = earlier
        self._settings = settings
        self._message = message
        self._folder = current_folder()

    def decide(self, image: CellImage) -> Outcome | Pending:
        """Whether an image has to be computed, or what is known of it."""
        path = os.path.join(self._folder, os.fsencode(image.path))
        if image.error is not None:
            return Pending(path, None)
        with_content = self._settings.verify_content and self._running is not None
        version = version_of(image.path, with_content=with_content)
        if version is None:
            return Pending(path, None)
        if abs(version.age) < self._settings.settle:
            return Outcome(_unsettled(image, self._settings.settle))
        known = self._find(path, version)
        return Pending(path, version) if known is None else _reused(image, known)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Remember what was computed, or taken over from an earlier run."""
        if self._running is not None:
            self._running.add(outcome.entry for outcome in outcomes if outcome.entry is not None)

    def finish(self) -> None:
        """Let the next run with `--update` start from this one.

        Raises:
            MalscanError: the disk is full, or the folder is gone.
        """
        if self._running is None:
            return
        file = self._running.file
        try:
            self._running.commit()
        except MalscanError as error:
            raise MalscanError(f"{error} The reports are complete.") from None
        self._close()
        try:
            os.replace(file, file.with_name(FINISHED))
        except OSError as error:
            raise MalscanError(
                f"cannot write the state of this scan, {file}: {error.strerror}. The reports are "
                "complete; only --update will have to compute everything again."
            ) from None

    def leave(self) -> None:
        """Keep what is known for the next run; harmless after `finish`."""
        if self._running is None:
            return
        with suppress(MalscanError):
            self._running.commit()
        file, empty = self._running.file, False
        with suppress(DamagedError):
            empty = not self._running.count()
        self._close()
        if empty:
            with suppress(OSError):
                remove(file)
                file.parent.rmdir()

    def _close(self) -> None:
        for journal in self._earlier:
            journal.close()
        if self._running is not None:
            self._running.close()
        self._earlier, self._running = [], None

    def _find(self, path: bytes, version: Version) -> tuple[Entry, bool] | None:
        """The entry of an image that is still the same, and whether it has to be written again."""
        for journal in list(self._earlier):
            try:
                entry = journal.find(path)
            except DamagedError:
                self._earlier.remove(journal)
                self._message(f"the state in {journal.file} is damaged: the rest is computed again")
                continue
            if entry and version.is_same(entry.size, entry.modified, entry.content):
                return entry, journal is not self._running
        return None


def _reused(image: CellImage, known: tuple[Entry, bool]) -> Outcome:
    entry, is_new = known
    prediction = Prediction(image, entry.probability, None, entry.grey, unlike=entry.unlike)
    return Outcome(prediction, entry if is_new else None, reused=True)


def _unsettled(image: CellImage, settle: float) -> Prediction:
    error = f"changed within the last {settle:g} s (--settle): left for the next run"
    return Prediction(image, None, error, unsettled=True)


@contextmanager
def opened_state(
    report: Path | None, fingerprint: Fingerprint, settings: NightlySettings, message: Message
) -> Iterator[State]:
    """The state of a scan, opened; at the end everything known is on the disk.

    Args:
        report: the first report; None for a scan that keeps no state.
        fingerprint: what its results follow from.
        settings: which earlier results to use.
        message: told what is used, and why not.

    Raises:
        MalscanError: the state cannot be written.
    """
    if report is None:
        yield State(None, [], settings, message)
        return
    folder = state_folder(report)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise MalscanError(
            f"cannot make {folder}, for the state of this scan: {error.strerror}. Name a report in "
            "a folder that can be written."
        ) from None
    running = _unfinished(folder / RUNNING, fingerprint, message)
    finished = _last(folder / FINISHED, fingerprint, message) if settings.update else None
    earlier = [journal for journal in (running, finished) if journal is not None]
    if running is None:
        running = Journal.create(folder / RUNNING, fingerprint)
    state = State(running, earlier, settings, message)
    try:
        yield state
    finally:
        state.leave()


def _unfinished(file: Path, fingerprint: Fingerprint, message: Message) -> Journal | None:
    """The journal of a run that was killed, if this one can go on with it."""
    try:
        journal = open_journal(file, read_only=False)
    except DamagedError:
        message("the state of an unfinished run is damaged: starting afresh")
        return None
    if journal is None:
        return None
    if different := _differences(journal, fingerprint):
        message(f"an unfinished run {different}: starting afresh")
        journal.close()
        return None
    if known := journal.count():
        message(f"going on with an unfinished run: {known} images are known already")
    return journal


def _last(file: Path, fingerprint: Fingerprint, message: Message) -> Journal | None:
    """The journal of the last run that came to its end, if it can be used."""
    try:
        journal = open_journal(file, read_only=True)
    except DamagedError:
        message("--update: the state of the last run is damaged: every image is computed")
        return None
    if journal is None:
        message("--update: no earlier run of this report is known: every image is computed")
        return None
    if different := _differences(journal, fingerprint):
        message(f"--update: the last run {different}: every image is computed")
        journal.close()
        return None
    return journal


def _differences(journal: Journal, fingerprint: Fingerprint) -> str | None:
    """What keeps a journal from being used, in words; None if nothing does."""
    try:
        # First, since another version may keep its journal in another way.
        different = changed(journal.fingerprint(), fingerprint)
        if not different:
            journal.check()
    except DamagedError:
        return "left a damaged state"
    return f"had another {', '.join(different)}" if different else None
