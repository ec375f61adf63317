"""`malscan fetch` as people use it: in a terminal, in a job, over a bad line."""

import hashlib
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archives import images_of, publish, tiny_images, tree, write_archive
from conftest import Cli, command
from servers import Manners, files_of, serving

from malscan.fetch.archive import CITATION, PUBLISHED

IMAGES = tiny_images(patients=6, each=100)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a server has it."""
    folder = tmp_path_factory.mktemp("served")
    publish(folder, IMAGES)
    return folder


@pytest.fixture
def server(served: Path) -> Iterator[Manners]:
    with serving(Manners(files_of(served))) as manners:
        yield manners


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "d"


def source(server: Manners) -> tuple[str, ...]:
    sha256 = hashlib.sha256(server.files["/cell_images.zip"]).hexdigest()
    return ("--url", f"{server.url}/cell_images.zip", "--sha256", sha256)


def cells(dest: Path) -> dict[str, bytes]:
    return tree(dest / "cell_images")


def test_a_fetch_ends_with_a_table_the_citation_and_the_next_command(
    cli: Cli, server: Manners, dest: Path
) -> None:
    result = cli("fetch", dest, *source(server))

    assert (result.code, result.out) == (0, "")
    rows = [line.split() for line in result.err.splitlines()]
    assert ["parasitized", "600", "6"] in rows
    assert ["uninfected", "600", "6"] in rows
    assert ["both", "1,200", "6"] in rows
    assert f"Place: {dest}/cell_images" in result.err
    assert f"Cite: {CITATION}" in result.err
    assert f"Next: malscan train {dest}/cell_images --out my-model" in result.err
    assert cells(dest) == IMAGES


def test_a_second_fetch_says_that_all_is_there(cli: Cli, server: Manners, dest: Path) -> None:
    cli("fetch", dest, *source(server))
    server.asked.clear()

    result = cli("fetch", dest, *source(server))

    assert result.code == 0
    assert f"{dest} is whole already; nothing was fetched." in result.err
    assert server.asked == []


def test_the_environment_names_the_place(
    cli: Cli, server: Manners, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALSCAN_DATA", str(dest))

    assert cli("fetch", *source(server)).code == 0
    assert cells(dest) == IMAGES
    assert cli("fetch", "--check").code == 0


def test_quiet_prints_nothing(cli: Cli, server: Manners, dest: Path) -> None:
    assert cli("fetch", dest, *source(server), "--quiet").err == ""
    assert cli("fetch", dest, *source(server), "--quiet").err == ""
    assert cli("fetch", "--check", dest, "--quiet").err == ""


def test_a_sample_says_that_it_is_one(cli: Cli, server: Manners, dest: Path) -> None:
    result = cli("fetch", dest, *source(server), "--sample", "300")

    assert result.code == 0
    assert len(cells(dest)) == 400
    assert "A sample of whole patients (--sample 300), not the whole set." in result.err
    checked = cli("fetch", "--check", dest)
    assert checked.code == 0
    assert "A sample" in checked.err
    next((dest / "cell_images/Uninfected").iterdir()).unlink()
    spoilt = cli("fetch", "--check", dest)
    assert f"Run `malscan fetch {dest} --sample 300` to mend it." in spoilt.err


def test_a_mirror_must_have_the_published_archive(cli: Cli, server: Manners, dest: Path) -> None:
    url = f"{server.url}/cell_images.zip"

    result = cli("fetch", dest, "--url", url, "--no-patients")

    assert result.code == 1
    assert str(PUBLISHED.sha256) in result.err
    assert hashlib.sha256(server.files["/cell_images.zip"]).hexdigest() in result.err
    assert "Traceback" not in result.err
    kept = dest / "cell_images.zip.mismatch"
    assert kept.read_bytes() == server.files["/cell_images.zip"]
    assert not (dest / "cell_images").exists()


def test_an_evil_archive_leaves_nothing(cli: Cli, dest: Path, tmp_path: Path) -> None:
    evil = {"../../escaped/Uninfected/a.png": b"evil"}
    write_archive(tmp_path / "evil.zip", IMAGES, more=evil)

    result = cli("fetch", dest, "--from-file", tmp_path / "evil.zip", "--sha256", "none")

    assert result.code == 1
    assert "It is not safe to unpack, so nothing was" in result.err
    assert [path.name for path in dest.iterdir()] == [".cell_images.lock"]
    assert not list(tmp_path.rglob("escaped"))


def test_check_names_what_is_wrong_and_exits_1(cli: Cli, server: Manners, dest: Path) -> None:
    cli("fetch", dest, *source(server))
    assert f"{dest} is whole." in cli("fetch", "--check", dest).err
    gone = sorted((dest / "cell_images/Parasitized").iterdir())[:12]
    for path in gone:
        path.unlink()
    (dest / "cell_images/Uninfected/mine.png").write_bytes(b"1")

    result = cli("fetch", "--check", dest)

    assert result.code == 1
    assert f"malscan: {dest} is not whole: 12 missing, 1 strangers." in result.err
    assert "stranger: Uninfected/mine.png" in result.err
    assert result.err.count("  missing: Parasitized/") == 10
    assert "missing: 2 more; --verbose names all" in result.err
    everything = cli("fetch", "--check", dest, "--verbose").err
    assert all(path.name in everything for path in gone)
    assert cli("fetch", "--check", dest, "--quiet").err.startswith("malscan: ")


def test_check_decodes_on_request(cli: Cli, labelled: Path, dest: Path, tmp_path: Path) -> None:
    publish(tmp_path, images_of(labelled))
    assert cli("fetch", dest, "--from-file", tmp_path / "cell_images.zip").code == 1
    cli("fetch", dest, "--from-file", tmp_path / "cell_images.zip", "--sha256", "none")
    assert cli("fetch", "--check", "--decode", dest).code == 0
    path = next((dest / "cell_images/Uninfected").iterdir())
    path.write_bytes(bytes(path.stat().st_size))

    assert cli("fetch", "--check", dest).code == 0
    result = cli("fetch", "--check", "--decode", dest)

    assert result.code == 1
    assert f"unreadable: Uninfected/{path.name}: " in result.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--check", "nowhere"], "no such file or folder: nowhere"),
        (["--check", ".", "--url", "http://a/b.zip"], "--check fetches nothing"),
        (["--check", ".", "--no-patients"], "--check fetches nothing"),
        (["d", "--decode"], "--decode needs --check"),
        (["d", "--url", "ftp://a/b.zip"], "is no address"),
        (["d", "--from-file", "nowhere.zip"], "no such file or folder: nowhere.zip"),
        (["d", "--sha256", "abc"], "is no hash"),
        (["d", "--sample", "0"], "is not at least 1"),
        (["d", "--timeout", "0"], "is not between"),
    ],
)
def test_usage_errors(
    cli: Cli, args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = cli("fetch", *args)

    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_neither_fetch_nor_check_loads_tensorflow(server: Manners, dest: Path) -> None:
    for args in (["fetch", str(dest), *source(server)], ["fetch", "--check", str(dest)]):
        program = (
            "import sys; from malscan.cli import main\n"
            f"sys.argv = ['malscan', *{args!r}]\n"
            "try: main()\n"
            "except SystemExit as stop: code = stop.code\n"
            "heavy = {'tensorflow', 'keras', 'scipy', 'pandas', 'numpy'} & set(sys.modules)\n"
            "print('heavy:', sorted(heavy), 'code:', code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "heavy: [] code: 0"


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_keeps_what_came_and_the_same_command_goes_on(
    server: Manners, dest: Path, number: signal.Signals, code: int, word: str
) -> None:
    server.stalls, server.silence = [100_000], 30
    args = command("fetch", dest, *source(server))
    with subprocess.Popen(args, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: size_of(dest / "cell_images.zip.part") == 100_000)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)

    assert process.returncode == code
    assert f"malscan: {word}; 100.0 kB are kept, and the same command goes on" in err
    assert "Traceback" not in err
    sent = server.sent

    assert subprocess.run(args, check=False).returncode == 0
    assert server.sent - sent == len(server.files["/cell_images.zip"]) - 100_000
    assert cells(dest) == IMAGES


@pytest.mark.fault("two runs for the same report at once")
def test_a_second_fetch_into_the_same_place_exits_75(server: Manners, dest: Path) -> None:
    args = command("fetch", dest, *source(server))
    server.flows.clear()
    with subprocess.Popen(args, stderr=subprocess.PIPE) as first:
        wait_for(lambda: bool(server.asked))
        second = subprocess.run(args, capture_output=True, text=True, check=False)
        server.flows.set()
        first.communicate(timeout=60)

    assert (first.returncode, second.returncode) == (0, 75)
    assert "another run" in second.stderr
    assert cells(dest) == IMAGES


@pytest.mark.slow
def test_a_whole_folder_of_full_size_is_told_in_under_2_seconds(tmp_path: Path) -> None:
    publish(tmp_path, tiny_images(patients=13, each=1060))
    args = ("--from-file", tmp_path / "cell_images.zip", "--sha256", "none")
    dest = tmp_path / "d"
    subprocess.run(command("fetch", dest, *args), check=True)

    start = time.monotonic()
    again = subprocess.run(command("fetch", dest, *args), capture_output=True, check=True)
    seconds = time.monotonic() - start

    assert b"27,560" in again.stderr
    assert b"whole already" in again.stderr
    assert seconds < 2


def limited(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.fault("a full disk")
def test_a_limit_on_file_sizes_keeps_what_came_and_says_what_is_needed(
    server: Manners, dest: Path
) -> None:
    args = command("fetch", dest, *source(server))

    failed = subprocess.run(
        args, capture_output=True, text=True, check=False, preexec_fn=lambda: limited(150_000)
    )

    assert failed.returncode == 1
    size = len(server.files["/cell_images.zip"])
    assert f"File too large. {size / 1000:.1f} kB are needed" in failed.stderr
    assert not (dest / "cell_images").exists()
    assert subprocess.run(args, check=False).returncode == 0
    assert cells(dest) == IMAGES


@pytest.mark.fault("a full disk")
def test_a_limit_that_stops_the_unpacking_leaves_no_half_folder(
    served: Path, dest: Path, tmp_path: Path
) -> None:
    large = "Uninfected/C6P6thinF_IMG_20150101_120000_cell_999.png"
    publish(tmp_path, {**IMAGES, large: bytes(50_000)})
    args = command("fetch", dest, "--from-file", tmp_path / "cell_images.zip", "--sha256", "none")

    failed = subprocess.run(
        args, capture_output=True, text=True, check=False, preexec_fn=lambda: limited(40_000)
    )

    assert failed.returncode == 1
    assert "are needed" in failed.stderr
    assert [path.name for path in dest.iterdir()] == [".cell_images.lock"]


def test_a_terminal_sees_rate_and_time_left(server: Manners, dest: Path) -> None:
    server.pause = 0.1
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    args = command("fetch", dest, *source(server))
    with subprocess.Popen(args, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(theirs)
        seen = b""
        try:
            while block := os.read(ours, 4096):
                seen += block
        except OSError:
            pass  # the other side has gone
        process.wait(timeout=30)
    os.close(ours)

    assert process.returncode == 0
    text = seen.decode()
    assert "Downloading cell_images.zip:" in text
    # Share, bytes, time so far, time left, rate.
    assert re.search(r"zip: +\d+%\|.* \d+k/\d+k \[\d\d:\d\d<\d\d:\d\d, \d+kB/s\]", text)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
