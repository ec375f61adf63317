"""Lets slow work run beside the main thread, which stays free to notice signals and stalls."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from malscan.errors import MalscanError

T = TypeVar("T")

_AHEAD = 4
_POLL_SECONDS = 0.2
_END_SECONDS = 10.0

_abandoned: list[threading.Thread] = []


@dataclass(frozen=True, slots=True)
class _Last:
    """The end of the items, with what ended them."""

    fault: BaseException | None


class UnwantedError(Exception):
    """Nobody wants more items."""


class Watched(Generic[T]):
    """Iterates, in another thread, over items that may stop coming.

    Used as a context manager: at its end the other thread is told to end, and is waited for,
    unless it hangs.
    """

    def __init__(
        self,
        stall_timeout: float,
        check: Callable[[], object],
        left_behind: Callable[[], str] = lambda: "",
        more_seconds: float = 0,
        moved: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare.

        Args:
            stall_timeout: seconds without an item after which `items` gives up; 0 is never.
            check: called several times a second while waiting; may raise.
            left_behind: gives the end of the message of a stall.
            more_seconds: how much longer than usual to wait for the other thread at the end.
            moved: gives a value that changes as long as the source gets on without an item.
        """
        self._stall_timeout = stall_timeout
        self._check = check
        self._left_behind = left_behind
        self._more_seconds = more_seconds
        self._moved = moved
        self._moved_to: object = None
        self._queue: queue.Queue[T | _Last] = queue.Queue(_AHEAD)
        self._stopping = threading.Event()
        self._busy = False
        self._heard = time.monotonic()
        self._thread: threading.Thread | None = None

    def items(self, source: Generator[T, None, None]) -> Iterator[T]:
        """The items of `source`, which is drawn from by another thread.

        Raises:
            MalscanError: nothing came for too long.
            Exception: what `source` or `check` raises.
        """
        self._thread = threading.Thread(target=self._work, args=[source], daemon=True)
        self._thread.start()
        self._heard = time.monotonic()
        while True:
            try:
                item = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                self._check()
                self._check_stalled()
                continue
            if isinstance(item, _Last):
                if item.fault is not None:
                    raise item.fault
                return
            yield item
            self._heard = time.monotonic()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """For the source: while entered, nothing is expected of it."""
        self._busy = True
        try:
            yield
        finally:
            self._heard = time.monotonic()
            self._busy = False

    def heard(self) -> None:
        """For the source: something has come that will be an item later."""
        self._heard = time.monotonic()

    def check_wanted(self) -> None:
        """For the source, while it waits for something.

        Raises:
            UnwantedError: nobody wants its items any more.
        """
        if self._stopping.is_set():
            raise UnwantedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        if self._thread is None:
            return
        self._thread.join(_END_SECONDS + self._more_seconds)
        if self._thread.is_alive():
            _abandoned.append(self._thread)

    def _work(self, source: Generator[T, None, None]) -> None:
        fault: BaseException | None = None
        try:
            with closing(source):
                for item in source:
                    if not self._put(item):
                        break
        except BaseException as raised:
            fault = raised
        self._put(_Last(fault))

    def _put(self, item: T | _Last) -> bool:
        """Hand over an item; False if nobody wants it any more."""
        while not self._stopping.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def _check_stalled(self) -> None:
        moved_to = self._moved()
        if moved_to != self._moved_to:
            self._moved_to = moved_to
            self.heard()
        silent = time.monotonic() - self._heard
        if self._stall_timeout and not self._busy and silent > self._stall_timeout:
            raise MalscanError(
                f"nothing could be read for {self._stall_timeout:g} s (--stall-timeout): the drive "
                f"or the network may be gone. Stopped {self._left_behind()}"
            )


def is_thread_abandoned() -> bool:
    """Whether a thread still hangs: the interpreter could not end in good order then."""
    return any(thread.is_alive() for thread in _abandoned)
