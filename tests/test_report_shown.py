"""Names as people see them: visible, in order, and short enough."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malscan.report.shown import shortened, shown


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("C47P8_IMG_1.png", "C47P8_IMG_1.png"),
        ("two\nlines\r\t.png", r"two\nlines\r\t.png"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("a\u2066b\u200fc\ufeff", r"a\u2066b\u200fc\ufeff"),
        ("\x1b[31mred\x00", r"\x1b[31mred\x00"),
        ("latin-\udce9", r"latin-\udce9"),
        ("line\u2028end\u2029", r"line\u2028end\u2029"),
        ("échantillon 細胞 مرحبا", "échantillon 細胞 مرحبا"),
        ("\N{WOMAN}\u200d\N{MICROSCOPE}", "\N{WOMAN}\u200d\N{MICROSCOPE}"),
    ],
)
def test_what_cannot_be_seen_appears_by_its_number(name: str, seen: str) -> None:
    assert shown(name) == seen


@given(st.text())
def test_nothing_is_left_that_breaks_or_turns_a_line(name: str) -> None:
    for sign in shown(name):
        assert unicodedata.bidirectional(sign) not in {"RLO", "LRO", "RLE", "LRE", "RLI", "LRI"}
        assert unicodedata.category(sign) not in {"Cc", "Cs", "Zl", "Zp"}
    shown(name).encode()


@given(st.text(), st.integers(3, 40))
def test_a_long_name_keeps_both_ends(name: str, most: int) -> None:
    short = shortened(name, most)
    if len(name) <= most:
        assert short == name
    else:
        head, tail = short.split("…", 1) if "…" not in name else (short[:1], short[-1:])
        assert len(short) == most
        assert name.startswith(head)
        assert name.endswith(tail)
