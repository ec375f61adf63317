"""The version stands in one place, `malscan/__init__.py`; what repeats it says the same."""

import re
import tomllib
from importlib.metadata import version

import pytest
from conftest import ROOT

import malscan


@pytest.mark.parametrize(
    ("file", "pattern"),
    [("CITATION.cff", r"^version: (\S+)$"), ("CHANGELOG.md", r"^## (\S+)")],
)
def test_what_repeats_the_version_says_the_same(file: str, pattern: str) -> None:
    found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert found[1] == malscan.__version__


def test_the_package_takes_its_version_from_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "malscan/__init__.py"
    assert version("malscan") == malscan.__version__
