"""The first Ctrl-C or SIGTERM is remembered, the second Ctrl-C stops at once."""

import signal

import pytest

from malscan.errors import ExitCode, StoppedError
from malscan.stopping import StopRequests


def test_without_a_signal_nothing_stops() -> None:
    with StopRequests() as stop:
        stop.check()


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_is_remembered_until_the_next_check(
    number: signal.Signals, code: int, word: str
) -> None:
    with StopRequests() as stop:
        signal.raise_signal(number)
        with pytest.raises(StoppedError, match=word) as caught:
            stop.check()
    assert caught.value.exit_code == ExitCode(code)


def test_every_later_check_stops_too() -> None:
    with StopRequests() as stop:
        signal.raise_signal(signal.SIGTERM)
        for _ in range(2):
            with pytest.raises(StoppedError):
                stop.check()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_ctrl_c_after_a_first_signal_stops_at_once(first: signal.Signals) -> None:
    with StopRequests():
        signal.raise_signal(first)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_second_termination_is_no_reason_to_hurry() -> None:
    with StopRequests() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StoppedError, match="terminated"):
            stop.check()


def test_signals_are_handled_as_before_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with StopRequests():
        assert all(
            signal.getsignal(number) != handler
            for number, handler in zip(numbers, before, strict=True)
        )
    assert [signal.getsignal(number) for number in numbers] == before


def test_signals_are_handled_as_before_after_an_error() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(StoppedError), StopRequests() as stop:
        signal.raise_signal(signal.SIGTERM)
        stop.check()
    assert [signal.getsignal(number) for number in numbers] == before
