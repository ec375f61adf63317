"""What can stop a command: each error says what happened, to which file, and what to do next."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; they never change their meaning."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SOME_UNREADABLE = 3
    GATE_MISSED = 4
    LOCKED = 75
    INTERRUPTED = 130
    TERMINATED = 143


class MalscanError(Exception):
    """An error that stops the command; its text is a message for the user."""

    exit_code = ExitCode.FAILED


class UsageError(MalscanError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class LockedError(MalscanError):
    """Another run works on the same output."""

    exit_code = ExitCode.LOCKED


class StoppedError(MalscanError):
    """The user or the system asked the command to stop."""

    def __init__(self, exit_code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
