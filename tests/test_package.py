"""The packages hold what they should, and what is installed runs from any folder."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return folder


def kept_files(*places: str) -> set[str]:
    """Files that the repository keeps, below some places."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *places], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


def test_the_wheel_holds_the_package_and_nothing_else(packages: Path) -> None:
    with zipfile.ZipFile(next(packages.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert names == kept_files("malscan")
    assert {"malscan/py.typed", "malscan/models/compact/weights.safetensors"} <= names
    assert any(name.startswith("malscan/schemas/") for name in names)
    assert any(name.startswith("malscan/templates/") for name in names)


def test_the_source_package_holds_all_that_the_repository_keeps(packages: Path) -> None:
    with tarfile.open(next(packages.glob("*.tar.gz"))) as source:
        names = {name.partition("/")[2] for name in source.getnames()}

    assert kept_files() <= names
    assert names - kept_files() <= {"PKG-INFO"}


def test_what_is_installed_scans_from_another_folder(packages: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    wheel = str(next(packages.glob("*.whl")))
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(installed), wheel]
    subprocess.run(pip, capture_output=True, check=True)
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def python(*args: str) -> str:
        return subprocess.run(
            [sys.executable, *args],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert python("-c", "import malscan; print(malscan.__file__)").startswith(str(installed))
    python("-m", "malscan", "scan", str(ROOT / "examples/slides/slide-01"), "--out", "report.csv")
    assert len((elsewhere / "report.csv").read_text().splitlines()) == 21
