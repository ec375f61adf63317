"""What a mistyped name was probably meant to be."""

from pathlib import Path

import pytest

from malscan.near import did_you_mean, nearest, nearest_path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("compat", "compact"), ("Basline", "baseline"), ("COMPACT", "compact"), ("resnet", None)],
)
def test_the_nearest_name_is_found_in_any_case(typed: str, meant: str | None) -> None:
    assert nearest(typed, ["compact", "baseline"]) == meant


def test_nothing_is_near_where_nothing_is_known() -> None:
    assert nearest("slides", []) is None
    assert did_you_mean(nearest("slides", []), " Check the spelling.") == " Check the spelling."


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("slidse", "slides"),
        ("slidse/day-1", "slides/day-1"),
        ("./slides/dya-1", "./slides/day-1"),
        ("slides/", None),
        ("slidse/day-2", None),
        ("elsewhere", None),
        ("elsewhere/day-1", None),
        ("slides/day-1/cell.png/x", None),
    ],
)
def test_one_mistyped_name_in_a_path_is_mended(
    typed: str, meant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slides/day-1").mkdir(parents=True)
    (tmp_path / "slides/day-1/cell.png").touch()
    monkeypatch.chdir(tmp_path)

    assert nearest_path(typed) == meant


def test_an_absolute_path_is_mended_too(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()

    assert nearest_path(str(tmp_path / "slide")) == str(tmp_path / "slides")
