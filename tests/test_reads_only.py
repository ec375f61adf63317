"""A scan opens no connection and writes to no image, as far as Python can hear."""

import subprocess
import sys
from pathlib import Path

import pytest

LISTENER = """
import os, sys

def hear(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        os._exit(77)
    if event == "open" and isinstance(args[0], (str, bytes)):
        place = os.path.abspath(os.fsdecode(args[0]))
        if place.startswith(images) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            os._exit(78)
    if event in ("os.remove", "os.rename", "os.chmod", "os.utime", "os.truncate"):
        if os.path.abspath(os.fsdecode(args[0])).startswith(images):
            os._exit(79)

images, does = sys.argv[1:3]
sys.addaudithook(hear)
sys.argv = ["malscan", *sys.argv[3:]]
exec(does)
"""


def heard(images: Path, does: str, *args: object) -> int:
    """The exit code of a process whose every step Python tells of."""
    command = [sys.executable, "-c", LISTENER, str(images), does, *map(str, args)]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.slow
def test_a_scan_with_all_its_reports(slides: Path, tmp_path: Path) -> None:
    scan = "from malscan.cli import main; main()"
    outs = [part for name in ("r.csv", "r.html") for part in ("--out", tmp_path / name)]
    sheets = ("--montage", tmp_path / "sheets", "--update", "--verify-content")
    assert heard(slides, scan, "scan", slides, *outs, *sheets) == 0
    assert (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("import socket; socket.socket().connect_ex(('127.0.0.1', 9))", 77),
        ("open(images + '/new', 'w')", 78),
        ("os.remove(images + '/old')", 79),
        ("open(images + '/old')", 0),
    ],
)
def test_the_listener_would_have_heard(does: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    assert heard(tmp_path, does) == code
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
