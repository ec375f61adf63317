"""Work in another thread: nothing is lost, and a stall is noticed."""

import threading
import time
from collections.abc import Generator

import pytest

from malscan.errors import ExitCode, MalscanError, StoppedError
from malscan.scanning.watched import Watched, is_thread_abandoned

Numbers = Generator[int, None, None]


def nothing() -> None:
    """No wish to stop."""


def numbers(count: int) -> Numbers:
    yield from range(count)


def test_items_come_in_their_order() -> None:
    with Watched[int](10, nothing) as watched:
        assert list(watched.items(numbers(1000))) == list(range(1000))


def test_a_fault_comes_after_the_items_before_it() -> None:
    def broken() -> Numbers:
        yield from range(3)
        raise ValueError("broken")

    found = []
    with Watched[int](10, nothing) as watched, pytest.raises(ValueError, match="broken"):
        for item in watched.items(broken()):
            found.append(item)
    assert found == [0, 1, 2]


@pytest.mark.fault("a drive that stalls")
def test_a_stall_is_told_with_what_is_left_behind() -> None:
    free = threading.Event()

    def hanging() -> Numbers:
        yield 1
        free.wait(20)

    found = []
    with (
        pytest.raises(MalscanError, match=r"nothing could be read for 0\.5 s.* after one"),
        Watched[int](0.5, nothing, lambda: "after one") as watched,
    ):
        for item in watched.items(hanging()):
            found.append(item)
            free_later = threading.Timer(2, free.set)
            free_later.start()

    assert found == [1]
    assert not is_thread_abandoned()


def test_slow_work_that_says_so_and_a_slow_reader_are_no_stall() -> None:
    def slow() -> Numbers:
        with watched.busy():
            time.sleep(1)
        yield from range(20)

    with Watched[int](0.5, nothing) as watched:
        for item in watched.items(slow()):
            if item == 3:
                time.sleep(1)
    assert item == 19


def test_work_that_is_heard_of_is_no_stall() -> None:
    def of_others_first() -> Numbers:
        for _ in range(5):
            time.sleep(0.2)
            watched.heard()
        yield 1

    with Watched[int](0.5, nothing) as watched:
        assert list(watched.items(of_others_first())) == [1]


def test_work_that_gets_on_without_an_item_is_no_stall() -> None:
    steps = []

    def of_many_steps() -> Numbers:
        for step in range(6):
            time.sleep(0.2)
            steps.append(step)
        yield 1

    with Watched[int](0.5, nothing, moved=lambda: len(steps)) as watched:
        assert list(watched.items(of_many_steps())) == [1]
    assert len(steps) == 6


def test_a_wish_to_stop_is_heard_while_nothing_comes() -> None:
    free = threading.Event()

    def hanging() -> Numbers:
        free.wait(20)
        yield 1

    def check() -> None:
        free.set()
        raise StoppedError(ExitCode.TERMINATED, "terminated")

    with pytest.raises(StoppedError), Watched[int](10, check) as watched:
        list(watched.items(hanging()))


def test_the_work_ends_with_its_reader() -> None:
    ended = threading.Event()

    def endless() -> Numbers:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    with Watched[int](10, nothing) as watched:
        next(watched.items(endless()))
    assert ended.wait(5)
