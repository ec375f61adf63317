"""A wish to stop is heard while a line is silent."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

TICK = 0.1
"""Seconds between two ticks."""
_AHEAD = 8


class _End:
    """What the thread puts last: nothing more comes, or the error that ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def while_ticking(items: Iterator[T], tick: Callable[[], object]) -> Iterator[T]:
    """The same items, with a tick whenever the next one takes long.

    A blocking read cannot be left from a signal handler that does not raise, so a thread does
    the reading. If `tick` raises, the thread is left behind and ends with its next item, or with
    the program.
    """
    arrived: queue.Queue[T | _End] = queue.Queue(_AHEAD)
    left = threading.Event()
    threading.Thread(target=_pass_on, args=(items, arrived, left), daemon=True).start()
    try:
        while True:
            try:
                item = arrived.get(timeout=TICK)
            except queue.Empty:
                tick()
                continue
            if not isinstance(item, _End):
                yield item
            elif item.error is None:
                return
            else:
                raise item.error
    finally:
        left.set()


def _pass_on(items: Iterator[T], arrived: "queue.Queue[T | _End]", left: threading.Event) -> None:
    end = _End(None)
    try:
        for item in items:
            if not _put(arrived, item, left):
                return
    except Exception as error:  # it is raised again where the items are used
        end = _End(error)
    _put(arrived, end, left)


def _put(arrived: "queue.Queue[T | _End]", item: T | _End, left: threading.Event) -> bool:
    while not left.is_set():
        try:
            arrived.put(item, timeout=TICK)
        except queue.Full:
            continue
        return True
    return False
