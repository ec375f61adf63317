"""Says what happened where the process is killed and cannot say it any more."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_WORDS = (
    b"malscan: the process ended without a word, as when memory runs out or somebody kills it. "
    b"What scan, train and fetch had done is kept: the same command goes on from there.\n"
)
_LET_PASS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

_listened_to: list[int] = []


@contextmanager
def last_words() -> Iterator[None]:
    """Have a small process wait for the end of this one; it speaks if that is not in order.

    Nothing in this process could: the system asks nobody whom it kills, and libraries that run
    out of memory abort. The other process is a copy of this one, and is made as long as there
    are no threads that it would lack.
    """
    if threading.active_count() == 1:
        _begin()
    try:
        yield
    finally:
        leave_in_order()


def leave_in_order() -> None:
    """Whatever was to be said is said: let the process end without last words."""
    while _listened_to:
        listened_to = _listened_to.pop()
        # The other process may have been killed.
        with suppress(OSError):
            os.write(listened_to, b".")
        os.close(listened_to)


def _begin() -> None:
    try:
        hearing, listened_to = os.pipe()
        child = os.fork()
    except OSError:
        return  # A job that may have no more processes does without.
    if not child:
        _wait_and_speak(hearing)
    os.close(hearing)
    _listened_to.append(listened_to)


def _wait_and_speak(hearing: int) -> None:
    try:
        for number in _LET_PASS:
            signal.signal(number, signal.SIG_IGN)
        os.dup2(hearing, 0)
        # Whoever reads what the command writes must see its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        if not os.read(0, 1):
            os.write(2, _WORDS)
    finally:
        os._exit(0)
