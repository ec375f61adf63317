"""Places that cannot be written, or that vanish: told in one line, and nothing is lost."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import publish, tiny_images
from conftest import Cli

from malscan.errors import MalscanError
from malscan.scan import scan
from malscan.scanning.listener import Progress, ScanListener
from malscan.settings import NightlySettings, ScanSettings

READ_ONLY = "a read-only target"
VANISHED = "a folder that vanishes in mid-scan"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is mounted read-only, with a report and a model."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "tmpfs", str(folder)]
    try:
        subprocess.run(mounted, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here: that takes root")
    try:
        (folder / "r.csv").write_text("the report of last night")
        (folder / "m").mkdir()
        (folder / "m/model.json").write_text('{"schema": "malscan.model/1"}')
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.fault(READ_ONLY)
@pytest.mark.parametrize(
    "args",
    [
        "scan {cells} --out {place}/r.csv",
        "scan {cells} --out {free}/r.csv --montage {place}/sheets",
        "scan {cells} --out {free}/r.csv --failed-to {place}/failed.txt",
        "train {cells} --out {place}/m --force",
        "train {cells} --out {place}/new/m",
        "evaluate {cells} --out {place}/checked",
        "fetch {place}/d --from-file {free}/served/cell_images.zip --sha256 none",
        "fetch {place} --from-file {free}/served/cell_images.zip --sha256 none",
    ],
)
def test_a_read_only_target_is_told_before_any_work(
    cli: Cli, labelled: Path, read_only: Path, tmp_path: Path, args: str
) -> None:
    publish(tmp_path / "served", tiny_images(2, 3))
    before = sorted(read_only.rglob("*"))

    result = cli(*args.format(cells=labelled, place=read_only, free=tmp_path).split())

    assert result.code == 1
    assert result.err.count("\n") == 1
    assert str(read_only) in result.err
    assert "Read-only file system" in result.err
    assert sorted(read_only.rglob("*")) == before
    assert (read_only / "r.csv").read_text() == "the report of last night"
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.fault(READ_ONLY)
def test_images_on_a_read_only_drive_are_scanned(
    cli: Cli, read_only: Path, slides: Path, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,rw", str(read_only)], check=True)
    shutil.copytree(slides / "s1", read_only / "s1")
    subprocess.run(["mount", "-o", "remount,ro", str(read_only)], check=True)

    assert cli("scan", read_only / "s1", "--out", tmp_path / "r.csv").code == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 9


def vanishing(folder: Path) -> ScanListener:
    """Removes a folder as soon as some images are done."""

    def remove(progress: Progress) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    return ScanListener(on_progress=remove)


@pytest.mark.fault(VANISHED)
def test_the_folder_of_the_report_may_vanish(slides: Path, tmp_path: Path) -> None:
    place = tmp_path / "reports"
    place.mkdir()
    outs = (str(place / "r.csv"), str(place / "r.json"))

    with pytest.raises(MalscanError, match=r"cannot write .*reports/.*folder"):
        scan(ScanSettings((str(slides),), outs, batch_size=4), vanishing(place))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(VANISHED)
def test_the_folder_of_the_images_may_vanish(slides: Path, tmp_path: Path) -> None:
    shutil.copytree(slides, tmp_path / "slides")
    images = tmp_path / "slides"
    report = tmp_path / "r.csv"

    result = scan(ScanSettings((str(images),), (str(report),), batch_size=1), vanishing(images))

    rows = report.read_text().splitlines()[1:]
    assert len(rows) == result.counts.done
    lost = [row for row in rows if ",failed," in row]
    assert 0 < len(lost) == result.counts.unreadable
    assert all("no such file or directory" in row.lower() for row in lost)


@pytest.mark.fault(VANISHED)
def test_the_current_folder_may_vanish(
    cli: Cli, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    report = tmp_path / "r.csv"

    assert cli("scan", slides, "--out", report, "--log-file", tmp_path / "log").code == 0
    assert cli("scan", slides, "--out", "r.csv").code in (1, 2)


@pytest.mark.fault(VANISHED)
def test_a_state_that_vanishes_costs_no_report(slides: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    settings = ScanSettings((str(slides),), (str(report),), batch_size=4)

    with pytest.raises(MalscanError, match="cannot write the state") as told:
        scan(settings, vanishing(tmp_path / ".r.csv.malscan"))
    assert report.exists() == ("The reports are complete" in str(told.value))

    nightly = NightlySettings(update=True)
    again = ScanSettings((str(slides),), (str(report),), batch_size=4, nightly=nightly)
    assert scan(again).counts.done == 24
    left = (tmp_path / ".r.csv.malscan").iterdir()
    assert [path.name for path in left] == ["finished.sqlite"]
