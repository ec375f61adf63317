"""Lists of paths come out one by one, whatever bytes the names hold."""

import io
import os

import pytest

from malscan.errors import UsageError
from malscan.path_list import read_list


def test_a_list_holds_one_path_a_line() -> None:
    lines = b"A/1.png\n\nB 2.png\r\n\r\n 3.png \n4.png"
    assert list(read_list(io.BytesIO(lines))) == ["A/1.png", "B 2.png", " 3.png ", "4.png"]


def test_zero_bytes_may_end_paths_of_any_bytes() -> None:
    names = [b"line\nbreak.png", b"carriage\r", b"caf\xe9.png", b"last.png"]
    for data in (b"\0".join(names), b"\0".join([*names, b""]), b"\0\0".join(names)):
        read = list(read_list(io.BytesIO(data), null=True))
        assert [os.fsencode(path) for path in read] == names


def test_a_list_ended_by_zero_bytes_may_be_long() -> None:
    names = [f"{'folder/' * 40}{number}.png" for number in range(3000)]
    data = "\0".join(names).encode()
    assert len(data) > 10 * 65536
    assert list(read_list(io.BytesIO(data), null=True)) == names


def test_a_list_keeps_bytes_that_are_not_utf_8() -> None:
    (path,) = read_list(io.BytesIO(b"caf\xe9.png\n"))
    assert os.fsencode(path) == b"caf\xe9.png"


def test_zero_bytes_among_lines_are_a_usage_error_that_names_the_option() -> None:
    with pytest.raises(UsageError, match="--null"):
        list(read_list(io.BytesIO(b"1.png\0002.png\0")))


@pytest.mark.parametrize("null", [False, True])
def test_a_list_is_drawn_only_as_far_as_needed(null: bool) -> None:
    end = b"\0" if null else b"\n"
    file = io.BytesIO(b"".join(b"%d.png" % number + end for number in range(100_000)))

    assert next(read_list(file, null=null)) == "0.png"
    assert file.tell() < 100_000
