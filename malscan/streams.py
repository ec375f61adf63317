"""The standard streams, also as jobs leave them: closed, on a full disk, or read by nobody."""

import contextlib
import io
import os

_STANDARD = (0, 1, 2)


def fill_missing_descriptors() -> None:
    """Lead standard streams that the caller has closed to nowhere.

    Else the next files to be opened would get their numbers, and what native code writes to its
    stderr would end up in a report. Python's own `sys.stdin` and `sys.stdout` stay None, so that
    whoever needs them is told.
    """
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given, and those below are taken.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def messages_to(descriptor: int) -> io.TextIOWrapper:
    """A text stream for messages, line by line, that never fails.

    That nobody reads what a command says, or that there is no room for it, must not end the
    work that it says it of.

    Args:
        descriptor: where they go; closed with the stream, except for the standard ones.
    """
    raw = _Heedless(descriptor, "wb", closefd=descriptor not in _STANDARD)
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, errors="backslashreplace", line_buffering=True)


class _Heedless(io.FileIO):
    """Takes whatever is written, whether or not it can be passed on."""

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        with contextlib.suppress(OSError):
            # None where a stream that must not block would.
            return super().write(view) or view.nbytes
        return view.nbytes
