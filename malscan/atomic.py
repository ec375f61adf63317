"""Files that appear whole or not at all, and locks that keep two runs apart."""

import contextlib
import ctypes
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock

from malscan.errors import LockedError, MalscanError

_LOCK_POLL_SECONDS = 0.2
_CURRENT_FOLDER = -100
"""`AT_FDCWD` of Linux, from where relative names are taken."""
_EXCHANGE = 2
"""`RENAME_EXCHANGE` of Linux."""


def check_folder(path: Path) -> None:
    """Make sure that the folder is there in which something is to be written.

    Raises:
        MalscanError: it is not there, or may not be looked at.
    """
    try:
        if not Path(os.path.realpath(path)).parent.is_dir():
            raise MalscanError(f"cannot write {path}: no such folder. Make it, or check it.")
    except OSError as error:
        raise _cannot_write(path, error) from None


def check_place(path: Path) -> None:
    """Make sure that what is at the place of a file may be replaced by one.

    Raises:
        MalscanError: there is no such folder, or something else than a file.
    """
    check_folder(path)
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise MalscanError(f"cannot write {path}: it is a folder. Name a file.")
        if target.exists() and not target.is_file():
            raise MalscanError(f"cannot write {path}: it is no regular file. Name another.")
    except OSError as error:
        raise _cannot_write(path, error) from None


class AtomicFile:
    """A file that is written beside its final place and renamed at the end; text is UTF-8."""

    def __init__(self, path: Path) -> None:
        """Open the file beside its final place.

        Raises:
            MalscanError: a file cannot be written there.
        """
        check_place(path)
        self.path = path
        # A link keeps leading where it leads: its target is replaced, not the link.
        self._target = Path(os.path.realpath(path))
        self._partial = self._target.with_name(f".{self._target.name}.partial")
        try:
            self._file = self._partial.open("wb")
        except OSError as error:
            raise _cannot_write(path, error) from None

    def write(self, data: str | bytes) -> None:
        """Append text or bytes.

        Raises:
            MalscanError: the disk is full, or the folder is gone.
        """
        try:
            self._file.write(data.encode() if isinstance(data, str) else data)
        except OSError as error:
            raise _cannot_write(self.path, error) from None

    def close(self) -> None:
        """Write everything to the disk; the file is not yet under its final name.

        Raises:
            MalscanError: the disk is full, or the folder is gone.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _cannot_write(self.path, error) from None

    def publish(self) -> None:
        """Give the closed file its final name, in place of what was there.

        Raises:
            MalscanError: the folder is gone or became read-only.
        """
        try:
            self._partial.replace(self._target)
        except OSError as error:
            raise _cannot_write(self.path, error) from None

    def discard(self) -> None:
        """Leave nothing behind; harmless after `publish`."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._partial.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file beside its place and rename it when it is on the disk.

    Raises:
        MalscanError: it cannot be written; what was there stays.
    """
    with AtomicFile(path) as file:
        file.write(data)
        file.close()
        file.publish()


@contextlib.contextmanager
def atomic_folder(path: Path, advice: str = "Make room, or name another folder.") -> Iterator[Path]:
    """A folder to fill, which gets its name, in place of what was there, when it is complete.

    Args:
        path: the final place.
        advice: what to do where it cannot be written.

    Raises:
        MalscanError: it cannot be written; nothing half is left behind.
    """
    out = Path(os.path.realpath(path))
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        publish_folder(partial, path)
    except OSError as error:
        raise MalscanError(f"cannot write {path}: {error.strerror or error}. {advice}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish_folder(partial: Path, path: Path) -> None:
    """Give a complete folder its final name, in place of what was there.

    Raises:
        MalscanError: it cannot be renamed.
    """
    out = Path(os.path.realpath(path))
    replaced = out.with_name(f".{out.name}.replaced.partial")
    try:
        if not _exchanged(partial, out):
            if out.exists():
                shutil.rmtree(replaced, ignore_errors=True)
                out.replace(replaced)
            partial.replace(out)
    except OSError as error:
        raise _cannot_write(path, error) from None
    for old in (partial, replaced):
        shutil.rmtree(old, ignore_errors=True)


def _exchanged(new: Path, old: Path) -> bool:
    """Let two folders change names in one step, so that nobody ever finds neither.

    Returns:
        False where there is no old one, or the file system cannot.
    """
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    names = os.fsencode(new), os.fsencode(old)
    done = renameat2(_CURRENT_FOLDER, names[0], _CURRENT_FOLDER, names[1], _EXCHANGE)
    return bool(done == 0)


@contextlib.contextmanager
def locked(
    paths: Iterable[Path], *, wait: float = 0, check: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the locks `.NAME.lock` beside some outputs; the system frees them if we die.

    Args:
        paths: the outputs.
        wait: seconds to wait for another run that holds one of them.
        check: called several times a second while waiting; may raise.

    Raises:
        LockedError: another run holds one of them, still.
        MalscanError: a lock cannot be made there.
    """
    deadline = time.monotonic() + wait
    with contextlib.ExitStack() as stack:
        # The same order in every run: two runs cannot each wait for the other's lock.
        for target, path in sorted({Path(os.path.realpath(path)): path for path in paths}.items()):
            # Asked here because the lock would make the folder, whose name may be a slip.
            check_folder(path)
            lock = filelock.FileLock(target.with_name(f".{target.name}.lock"))
            try:
                while not _is_acquired(lock):
                    if time.monotonic() >= deadline:
                        raise LockedError(
                            f"another run is writing {path}. Wait until it has ended, or name "
                            "another file."
                        )
                    check()
            except OSError as error:
                raise _cannot_write(path, error) from None
            except NotImplementedError:
                raise MalscanError(
                    f"cannot lock {path}: its file system has no locks. Name a file on another one."
                ) from None
            stack.callback(lock.release)
        yield


def _is_acquired(lock: filelock.BaseFileLock) -> bool:
    with contextlib.suppress(filelock.Timeout):
        lock.acquire(timeout=_LOCK_POLL_SECONDS, poll_interval=_LOCK_POLL_SECONDS / 2)
    return lock.is_locked


def _cannot_write(path: Path, error: OSError) -> MalscanError:
    reason = error.strerror or str(error)
    advice = "Check that the folder exists, is writable and has space."
    return MalscanError(f"cannot write {path}: {reason}. {advice}")
