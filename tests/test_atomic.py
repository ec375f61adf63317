"""Files that appear whole or not at all, and locks between processes."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import pytest

from malscan import atomic
from malscan.atomic import AtomicFile, check_place, locked, publish_folder
from malscan.errors import ExitCode, LockedError, MalscanError

HOLD_A_LOCK = """
import sys
from pathlib import Path
from malscan.atomic import locked

with locked([Path(sys.argv[1])]):
    print("held", flush=True)
    sys.stdin.read()
"""

DIE_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from malscan.atomic import AtomicFile

file = AtomicFile(Path(sys.argv[1]))
file.write("half a repo")
if sys.argv[2] == "closed":
    file.close()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report.csv"


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@contextmanager
def lock_held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock of `path`."""
    command = [sys.executable, "-c", HOLD_A_LOCK, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


class TestAtomicFile:
    def test_nothing_is_under_the_name_before_publication(self, path: Path) -> None:
        with AtomicFile(path) as file:
            file.write("all of it")
            file.close()
            assert not path.exists()
            file.publish()
            assert path.read_text() == "all of it"

    def test_text_is_written_as_it_is_in_utf_8(self, path: Path) -> None:
        with AtomicFile(path) as file:
            file.write("é\r\n")
            file.write("\N{MICROSCOPE}\n")
            file.close()
            file.publish()
        assert path.read_bytes() == "é\r\n\N{MICROSCOPE}\n".encode()

    def test_bytes_are_written_as_they_are(self, path: Path) -> None:
        with AtomicFile(path) as file:
            file.write(b"\xff\r\n")
            file.write("é")
            file.close()
            file.publish()
        assert path.read_bytes() == b"\xff\r\n" + "é".encode()

    def test_publication_replaces_an_older_file_at_once(self, path: Path) -> None:
        path.write_text("old")
        with AtomicFile(path) as file:
            file.write("new")
            file.close()
            assert path.read_text() == "old"
            file.publish()
        assert path.read_text() == "new"
        assert entries(path.parent) == [path.name]

    def test_discarding_leaves_nothing(self, path: Path) -> None:
        file = AtomicFile(path)
        file.write("something")
        assert entries(path.parent) != []
        file.discard()
        assert entries(path.parent) == []

    def test_discarding_after_publication_does_no_harm(self, path: Path) -> None:
        file = AtomicFile(path)
        file.close()
        file.publish()
        file.discard()
        assert entries(path.parent) == [path.name]

    def test_an_error_inside_the_context_leaves_the_old_file_alone(self, path: Path) -> None:
        path.write_text("old")
        with pytest.raises(RuntimeError), AtomicFile(path) as file:
            file.write("new")
            raise RuntimeError
        assert path.read_text() == "old"
        assert entries(path.parent) == [path.name]

    def test_a_link_keeps_leading_where_it_leads(self, path: Path, tmp_path: Path) -> None:
        target = tmp_path / "elsewhere" / "real.csv"
        target.parent.mkdir()
        target.write_text("old")
        path.symlink_to(target)
        with AtomicFile(path) as file:
            file.write("new")
            file.close()
            file.publish()
        assert path.is_symlink()
        assert target.read_text() == "new"
        assert entries(target.parent) == ["real.csv"]

    def test_a_folder_in_its_place_is_an_error_that_names_it(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(MalscanError, match="is a folder") as caught:
            AtomicFile(path)
        assert str(path) in str(caught.value)

    def test_a_missing_folder_is_an_error_that_says_what_to_check(self, tmp_path: Path) -> None:
        with pytest.raises(MalscanError, match=r"no such folder\. Make it, or check it"):
            AtomicFile(tmp_path / "missing" / "report.csv")

    def test_a_folder_that_vanished_is_an_error_that_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "report.csv"
        path.parent.mkdir()
        with AtomicFile(path) as file:
            file.close()
            path.parent.rename(tmp_path / "renamed")
            with pytest.raises(MalscanError) as caught:
                file.publish()
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize("state", ["open", "closed"])
    def test_a_killed_process_leaves_the_old_file_and_does_not_block_the_next(
        self, path: Path, state: str
    ) -> None:
        path.write_text("old")
        died = subprocess.run([sys.executable, "-c", DIE_WHILE_WRITING, str(path), state])
        assert died.returncode == -signal.SIGKILL
        assert path.read_text() == "old"
        with AtomicFile(path) as file:
            file.write("new")
            file.close()
            file.publish()
        assert path.read_text() == "new"
        assert entries(path.parent) == [path.name]


class TestLocked:
    def test_a_lock_held_by_another_process_is_an_error_that_names_the_file(
        self, path: Path
    ) -> None:
        with (
            lock_held_elsewhere(path),
            pytest.raises(LockedError, match="another run is writing") as caught,
            locked([path]),
        ):
            pytest.fail("two runs hold one lock")
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == ExitCode(75)

    def test_the_lock_of_a_killed_process_does_not_block(self, path: Path) -> None:
        with lock_held_elsewhere(path) as holder:
            holder.kill()
            holder.wait()
            with locked([path]):
                pass

    def test_a_file_system_without_locks_is_told(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing(*args: object, **options: object) -> None:
            raise NotImplementedError("FileSystem does not appear to support flock")

        monkeypatch.setattr(filelock.FileLock, "acquire", missing)
        with pytest.raises(MalscanError, match="its file system has no locks"), locked([path]):
            pytest.fail("a lock was held")

    def test_other_names_are_not_locked(self, path: Path) -> None:
        with lock_held_elsewhere(path), locked([path.with_name("other.csv")]):
            pass

    def test_a_link_to_a_locked_file_is_locked(self, path: Path, tmp_path: Path) -> None:
        link = tmp_path / "link.csv"
        link.symlink_to(path)
        with locked([path]), pytest.raises(LockedError), locked([link]):
            pytest.fail("two runs hold one lock")

    def test_it_lies_beside_the_file(self, path: Path) -> None:
        with locked([path]):
            assert (path.parent / ".report.csv.lock").exists()

    def test_it_is_free_again_afterwards_also_after_an_error(self, path: Path) -> None:
        with pytest.raises(RuntimeError), locked([path]):
            raise RuntimeError
        with locked([path]):
            pass

    def test_one_file_under_two_names_is_locked_once(self, path: Path) -> None:
        with locked([path, path.parent / "." / path.name, path]):
            pass

    def test_failing_at_one_file_frees_the_others(self, tmp_path: Path) -> None:
        first, second = tmp_path / "a.csv", tmp_path / "b.csv"
        with locked([second]), pytest.raises(LockedError), locked([second, first]):
            pytest.fail("two runs hold one lock")
        with locked([first]):
            pass

    def test_a_lock_that_cannot_be_made_is_an_error_that_names_the_file(self, path: Path) -> None:
        (path.parent / ".report.csv.lock").mkdir()
        with pytest.raises(MalscanError) as caught, locked([path]):
            pytest.fail("no lock could be made")
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == ExitCode.FAILED


class TestPublishFolder:
    @pytest.fixture
    def new(self, tmp_path: Path) -> Path:
        """A new folder beside the old one that it is to replace."""
        for name in ("old", ".old.partial"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_text(name)
        return tmp_path / ".old.partial"

    @pytest.mark.parametrize("in_one_step", [True, False])
    def test_it_takes_the_place_of_the_old_one(
        self, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
    ) -> None:
        if not in_one_step:
            monkeypatch.setattr(atomic, "_exchanged", lambda new, old: False)

        publish_folder(new, tmp_path / "old")

        assert entries(tmp_path) == ["old"]
        assert (tmp_path / "old/file").read_text() == ".old.partial"

    def test_there_is_no_moment_without_a_folder(
        self, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def renamed(path: Path, target: Path) -> None:
            pytest.fail("there was a moment without a folder")

        for name in ("one", "other"):
            (tmp_path / name).mkdir()
        here, exchange = -100, 2
        one, other = bytes(tmp_path / "one"), bytes(tmp_path / "other")
        if ctypes.CDLL(None).renameat2(here, one, here, other, exchange):
            pytest.skip("this file system cannot let two folders change names")
        monkeypatch.setattr(Path, "replace", renamed)

        publish_folder(new, tmp_path / "old")

        assert (tmp_path / "old/file").read_text() == ".old.partial"

    def test_where_there_is_none_it_gets_the_name(self, new: Path, tmp_path: Path) -> None:
        publish_folder(new, tmp_path / "other")

        assert entries(tmp_path) == ["old", "other"]


def test_a_folder_that_may_not_be_entered_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", closed)
    with pytest.raises(MalscanError, match=r"cannot write .*r\.csv: Permission denied"):
        check_place(tmp_path / "r.csv")
    with (
        pytest.raises(MalscanError, match=r"r\.csv: Permission denied"),
        locked([tmp_path / "r.csv"]),
    ):
        pass
