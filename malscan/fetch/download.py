"""A file over any line: whole under its name, or a part that the next run goes on with."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from urllib3.exceptions import MaxRetryError

from malscan.errors import MalscanError, StoppedError
from malscan.fetch.http import AddressError, Answer, Line, LineError, policy, without_credentials
from malscan.fetch.listener import FetchListener, Phase, in_bytes, with_advice
from malscan.fetch.part import Origin, Part
from malscan.fetch.settings import Patience
from malscan.fetch.ticking import TICK


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be downloaded.

    Attributes:
        target: where the whole file goes.
        urls: addresses, the best first.
        sha256: hash of the whole file where known: then a part may be gone on with although
            nothing but the size says that it is of the same version.
        size: of the whole file, where known.
    """

    target: Path
    urls: Sequence[str]
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Downloader:
    """How to download.

    Attributes:
        patience: how long to bear with a bad line.
        listener: whom to tell.
        check_space: called with the bytes that are here and the bytes in all, before more come.
    """

    patience: Patience = field(default_factory=Patience)
    listener: FetchListener = field(default_factory=FetchListener)
    check_space: Callable[[int, int], object] = lambda done, total: None

    def download(self, wanted: Wanted) -> str:
        """Bring a file, or the rest of it, to its place; the addresses are tried in turn.

        Returns:
            The address that gave the last of it.

        Raises:
            StoppedError: the listener ended it; the part is kept.
            MalscanError: no address gave the file; what came is kept.
        """
        part = Part(wanted.target)
        problems = []
        for url in wanted.urls:
            transfer = _Transfer(self, wanted, part, url)
            try:
                transfer.run()
            except StoppedError as stop:
                raise with_advice(stop, f"{in_bytes(part.size())} are kept") from None
            except AddressError as error:
                problems.append(f"{without_credentials(url)}: {error}")
                if len(problems) < len(wanted.urls):
                    self.listener.on_message(f"{problems[-1]}. Trying the next address.")
                continue
            part.finish()
            return url
        raise MalscanError(f"cannot fetch {'; '.join(problems)}. {_kept(part)}")


def _kept(part: Part) -> str:
    size = part.size()
    if not size:
        return "Check the address and the line, and run the same command again."
    return f"{in_bytes(size)} are kept, and the same command goes on from there."


class _Transfer:
    """One file from one address, in as many attempts as it takes."""

    def __init__(self, how: Downloader, wanted: Wanted, part: Part, url: str) -> None:
        self._how = how
        self._wanted = wanted
        self._part = part
        self._url = url
        self._line = Line(how.patience.timeout, self._tick)
        self._done = 0
        self._starts = 0

    def run(self) -> None:
        """Attempt until the part is complete, or too many attempts in a row brought nothing."""
        origin = self._part.origin()
        if origin and origin.url != without_credentials(self._url) and not self._wanted.sha256:
            self._part.release()  # bytes of another address, and no hash that would tell
        retries = self._how.patience.retries
        retry = fresh = policy(retries, self._how.patience.backoff)
        while not self._part.is_complete():
            before = self._part.size()
            try:
                self._attempt()
            except LineError as error:
                if self._part.size() > before:
                    retry = fresh
                try:
                    retry = retry.increment("GET", self._url, error=error)
                except MaxRetryError:
                    more = f", and {retries} attempts more brought nothing" if retries else ""
                    raise AddressError(f"{error}{more}") from None
                self._pause(error, max(retry.get_backoff_time(), error.pause))

    def _attempt(self) -> None:
        with self._line.asked(self._url, self._range()) as answer:
            self._place(answer)
            origin = self._part.origin()
            total = origin.total if origin else None
            self._done = self._part.size()
            if total is not None:
                self._how.check_space(self._done, total)
            name, start = f"Downloading {self._wanted.target.name}", self._done
            self._how.listener.on_phase(Phase(name, "B", total, self._done))
            with self._part.open() as file:
                for block in answer.blocks:
                    if total is None:
                        self._how.check_space(self._done, self._done + len(block))
                    self._part.append(file, block, total)
                    self._done += len(block)
                    self._tick()
        if self._done - start != (answer.length or self._done - start):
            raise LineError("the line was cut")
        if origin and total is None:
            # The server told no size, and the end of the body was a proper one.
            self._part.record(replace(origin, total=self._done))
        elif self._done != total:
            raise LineError("the file ended too soon")

    def _range(self) -> dict[str, str]:
        """Headers that ask for the rest, where it can only be the rest of the same bytes."""
        origin, size = self._part.origin(), self._part.size()
        if origin is None or not size:
            return {}
        if origin.url == without_credentials(self._url) and origin.validator:
            return {"Range": f"bytes={size}-", "If-Range": origin.validator}
        return {"Range": f"bytes={size}-"} if self._wanted.sha256 else {}

    def _place(self, answer: Answer) -> None:
        """Make the part ready for the body: as it is, or emptied."""
        size, origin = self._part.size(), self._part.origin()
        if answer.status == 206 and origin and answer.first == size:
            same_file = answer.total in (None, origin.total) or origin.total is None
            same_place = origin.url == without_credentials(self._url)
            if same_file and (not same_place or answer.validator in (None, origin.validator)):
                return
        if size:
            self._start_anew()
        if answer.status != 200:
            self._part.release()
            raise LineError("the file on the server is another one than before")
        total = self._wanted.size if answer.total is None else answer.total
        if self._wanted.size is not None and total is not None and total > self._wanted.size:
            raise AddressError(
                f"the server offers {in_bytes(total)}, not {in_bytes(self._wanted.size)}"
            )
        self._starts += 1
        self._part.begin(Origin(without_credentials(self._url), answer.validator, total))

    def _start_anew(self) -> None:
        if self._starts > self._how.patience.retries:
            raise AddressError(
                f"the server cannot go on where it stopped, and {self._starts} starts from the "
                "first byte were cut"
            )
        self._how.listener.on_message("The server starts again from the first byte.")

    def _pause(self, error: LineError, seconds: float) -> None:
        wait = f" in {seconds:.0f} s" if seconds >= 1 else ""
        at = f" after {in_bytes(self._done)}" if self._done else ""
        self._how.listener.on_message(f"{_sentence(str(error))}{at}; trying again{wait}.")
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._tick()
            time.sleep(min(TICK, left))

    def _tick(self) -> None:
        self._how.listener.on_progress(self._done)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
