"""A wish to stop is heard while a line is silent."""

import threading
import time
from collections.abc import Iterator

import pytest

from malscan.fetch.ticking import while_ticking


class StopNow(Exception):
    pass


def test_items_come_in_order_and_none_is_lost() -> None:
    assert list(while_ticking(iter(range(1000)), lambda: None)) == list(range(1000))


def test_an_error_comes_out_where_the_items_are_used() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    items = while_ticking(broken(), lambda: None)
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_silence_does_not_keep_a_stop_waiting() -> None:
    silent = threading.Event()

    def tick() -> None:
        raise StopNow

    def nothing() -> Iterator[int]:
        silent.wait(30)
        yield 1

    start = time.monotonic()
    with pytest.raises(StopNow):
        next(while_ticking(nothing(), tick))
    assert time.monotonic() - start < 5
    silent.set()


def test_a_reader_that_leaves_ends_the_thread() -> None:
    before = threading.active_count()
    items = while_ticking(iter(range(100_000)), lambda: None)
    next(items)
    items.close()  # type: ignore[attr-defined]

    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before
