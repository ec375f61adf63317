"""Turns the first Ctrl-C or SIGTERM into an orderly end at the next safe point."""

import signal
from types import FrameType, TracebackType
from typing import Self

from malscan.errors import ExitCode, StoppedError

_EXIT_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class StopRequests:
    """While entered, remembers that the user or the system asked to stop.

    A second Ctrl-C stops at once, with `KeyboardInterrupt`.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def check(self) -> None:
        """Stop here if a stop was asked for.

        Raises:
            StoppedError: with the exit code of the signal.
        """
        if self._received is not None:
            word = "interrupted" if self._received is signal.SIGINT else "terminated"
            raise StoppedError(_EXIT_CODES[self._received], word)

    def __enter__(self) -> Self:
        for number in _EXIT_CODES:
            self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = self._received or signal.Signals(number)
