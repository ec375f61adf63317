"""What one run takes over from another, and what it says of it."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from malscan.errors import MalscanError
from malscan.prediction import Prediction
from malscan.scanning.in_order import Outcome, outcomes
from malscan.scanning.journal import Journal
from malscan.scanning.state import FINISHED, RUNNING, State, opened_state, state_folder
from malscan.settings import NightlySettings
from malscan.walk import CellImage

MODEL = {"model": "abc", "threshold": "0.5"}
LONG_AGO_NS = 1_700_000_000_123_456_789
NIGHTLY = NightlySettings(update=True)


@pytest.fixture
def cells(tmp_path: Path) -> list[Path]:
    """Five files; what is in them does not matter here."""
    files = [tmp_path / f"cell-{number}.png" for number in range(5)]
    for file in files:
        file.write_bytes(b"cell")
        os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return files


class Runs:
    """Scans with a stand-in for the network."""

    def __init__(self, folder: Path) -> None:
        self.report = folder / "report.csv"
        self.said: list[str] = []
        self.computed: list[str] = []

    @contextmanager
    def opened(
        self, settings: NightlySettings = NIGHTLY, model: dict[str, str] = MODEL
    ) -> Iterator[State]:
        with opened_state(self.report, model, settings, self.said.append) as state:
            yield state

    def run(
        self,
        cells: list[Path],
        settings: NightlySettings = NIGHTLY,
        *,
        model: dict[str, str] = MODEL,
        stop_after: int | None = None,
    ) -> list[Outcome]:
        self.said.clear()
        self.computed.clear()
        found: list[Outcome] = []
        with self.opened(settings, model) as state:
            images = (CellImage(str(cell), "s") for cell in cells)
            for some in outcomes(images, state.decide, self._predict):
                state.add(some)
                found += some
                if stop_after is not None and len(found) >= stop_after:
                    return found
            state.finish()
        return found

    def _predict(self, images: Iterator[CellImage | None]) -> Iterator[list[Prediction]]:
        for image in images:
            assert image is not None
            self.computed.append(Path(image.path).name)
            damaged = Path(image.path).read_bytes() == b"damaged"
            yield [Prediction(image, None if damaged else 0.5, "damaged" if damaged else None)]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def names(cells: list[Path]) -> list[str]:
    return [cell.name for cell in cells]


def test_a_first_run_computes_everything_and_says_why(runs: Runs, cells: list[Path]) -> None:
    runs.run(cells)

    assert runs.computed == names(cells)
    assert runs.said == [
        "--update: no earlier run of this report is known: every image is computed"
    ]


def test_without_update_a_finished_scan_is_repeated(runs: Runs, cells: list[Path]) -> None:
    runs.run(cells)
    runs.run(cells, NightlySettings())

    assert runs.computed == names(cells)
    assert runs.said == []


def test_with_update_only_what_is_new_changed_or_failed_is_computed(
    runs: Runs, cells: list[Path]
) -> None:
    cells[1].write_bytes(b"damaged")
    os.utime(cells[1], ns=(LONG_AGO_NS, LONG_AGO_NS))
    runs.run(cells[:4])
    cells[2].write_bytes(b"another")

    found = runs.run(cells)

    assert runs.computed == ["cell-1.png", "cell-2.png", "cell-4.png"]
    assert [outcome.reused for outcome in found] == [True, False, False, True, False]
    assert runs.said == []


def test_what_was_taken_over_is_known_to_the_night_after(runs: Runs, cells: list[Path]) -> None:
    for _ in range(3):
        runs.run(cells)

    assert runs.computed == []


def test_what_has_vanished_drops_out(runs: Runs, cells: list[Path]) -> None:
    runs.run(cells)

    assert len(runs.run(cells[:2])) == 2
    runs.run(cells)
    assert runs.computed == names(cells[2:])


@pytest.mark.parametrize("update", [False, True])
def test_an_unfinished_run_is_gone_on_with(runs: Runs, cells: list[Path], update: bool) -> None:
    runs.run(cells, stop_after=3)

    found = runs.run(cells, NightlySettings(update=update))

    assert runs.computed == names(cells[3:])
    assert runs.said[0] == "going on with an unfinished run: 3 images are known already"
    assert len(found) == 5


def test_a_run_killed_before_its_first_image_is_gone_on_with(runs: Runs, cells: list[Path]) -> None:
    """With a journal of its own, a second one on the same file would undo what the first adds."""
    folder = state_folder(runs.report)
    folder.mkdir()
    Journal.create(folder / RUNNING, MODEL).close()
    begun = (folder / RUNNING).stat().st_ino

    runs.run(cells)

    assert (folder / FINISHED).stat().st_ino == begun
    assert runs.computed == names(cells)
    runs.run(cells)
    assert runs.computed == []


def test_an_unfinished_update_loses_neither_night(runs: Runs, cells: list[Path]) -> None:
    runs.run(cells[:3])
    runs.run(cells, stop_after=4)
    runs.run(cells)

    assert runs.computed == names(cells[4:])


def test_another_model_or_setting_starts_afresh_and_says_so(runs: Runs, cells: list[Path]) -> None:
    runs.run(cells)
    runs.run(cells, stop_after=2)
    runs.run(cells, model={"model": "other", "threshold": "0.3"})

    assert runs.computed == names(cells)
    assert runs.said == [
        "an unfinished run had another model, threshold: starting afresh",
        "--update: the last run had another model, threshold: every image is computed",
    ]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3 :] = b"\xaa" * len(content[len(content) // 3 :])
    file.write_bytes(content)


def test_a_damaged_state_is_told_and_costs_a_full_scan(runs: Runs, cells: list[Path]) -> None:
    runs.run(cells)
    runs.run(cells, stop_after=2)
    shutil.copy(state_folder(runs.report) / FINISHED, state_folder(runs.report) / RUNNING)
    damage(state_folder(runs.report) / FINISHED)
    damage(state_folder(runs.report) / RUNNING)

    runs.run(cells)

    assert runs.computed == names(cells)
    assert runs.said == [
        "an unfinished run left a damaged state: starting afresh",
        "--update: the last run left a damaged state: every image is computed",
    ]


def test_content_is_compared_where_that_is_asked_for(runs: Runs, cells: list[Path]) -> None:
    nightly = NightlySettings(update=True, verify_content=True)
    runs.run(cells, nightly)
    cells[0].write_bytes(b"CELL")
    os.utime(cells[0], ns=(LONG_AGO_NS, LONG_AGO_NS))
    cells[1].touch()

    runs.run(cells, nightly)

    assert runs.computed == ["cell-0.png"]


def test_an_image_that_is_still_changing_is_left_for_the_next_run(
    runs: Runs, cells: list[Path]
) -> None:
    cells[0].touch()

    found = runs.run(cells, NightlySettings(update=True, settle=60))

    assert runs.computed == names(cells[1:])
    assert found[0].prediction.unsettled
    assert found[0].prediction.error == (
        "changed within the last 60 s (--settle): left for the next run"
    )
    past = time.time() - 61
    os.utime(cells[0], (past, past))
    runs.run(cells, NightlySettings(update=True, settle=60))
    assert runs.computed == ["cell-0.png"]


def test_the_same_relative_name_elsewhere_is_another_image(
    runs: Runs, cells: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy2(cells[0], other / cells[0].name)
    monkeypatch.chdir(tmp_path)
    runs.run([Path("cell-0.png")])
    monkeypatch.chdir(other)

    runs.run([Path("cell-0.png")])

    assert runs.computed == ["cell-0.png"]


def test_a_run_that_got_to_know_nothing_leaves_nothing(runs: Runs) -> None:
    with runs.opened():
        pass

    assert not state_folder(runs.report).exists()


def test_without_a_report_there_is_no_state(tmp_path: Path, cells: list[Path]) -> None:
    before = sorted(tmp_path.iterdir())
    with opened_state(None, MODEL, NightlySettings(), print) as state:
        state.add([Outcome(Prediction(CellImage(str(cells[0]), "s"), 0.5, None))])
        state.finish()

    assert sorted(tmp_path.iterdir()) == before


def test_a_state_that_cannot_be_made_is_told(runs: Runs) -> None:
    state_folder(runs.report).write_text("a file")

    with pytest.raises(MalscanError, match="Name a report in a folder that can be written"):
        runs.run([])


# Damage and other versions


def damages(content: bytes) -> Iterator[bytes]:
    """The file with each of its regions spoilt in turn, and cut short."""
    step = max(1, len(content) // 64)
    for place in range(0, len(content), step):
        yield (
            content[:place]
            + bytes(255 - byte for byte in content[place : place + 4])
            + (content[place + 4 :])
        )
        yield content[:place] + bytes(step) + content[place + step :]
        yield content[:place]


@pytest.mark.fault("a damaged state of a scan (bytes flipped, blanked, cut off)")
@pytest.mark.parametrize("name", [RUNNING, FINISHED])
def test_no_damage_to_the_state_changes_a_result(
    runs: Runs, cells: list[Path], name: str, record_property: Callable[[str, object], None]
) -> None:
    runs.run(cells)
    whole = (state_folder(runs.report) / FINISHED).read_bytes()
    tried = 0
    for tried, spoilt in enumerate(damages(whole), start=1):  # noqa: B007
        shutil.rmtree(state_folder(runs.report))
        state_folder(runs.report).mkdir()
        (state_folder(runs.report) / name).write_bytes(spoilt)

        found = runs.run(cells)

        assert [outcome.prediction.probability for outcome in found] == [0.5] * len(cells)
        assert set(names(cells)) >= set(runs.computed)
    record_property("tried", tried)


@pytest.mark.fault("a damaged state of a scan (bytes flipped, blanked, cut off)")
def test_the_rest_of_a_foreign_transaction_changes_no_result(runs: Runs, cells: list[Path]) -> None:
    runs.run(cells, stop_after=3)
    running = state_folder(runs.report) / RUNNING
    running.with_name(f"{RUNNING}-journal").write_bytes(bytes(range(256)) * 64)

    assert [outcome.prediction.probability for outcome in runs.run(cells)] == [0.5] * len(cells)


@pytest.mark.fault("a state of another version of malscan")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE facts SET value = 'malscan.journal/0' WHERE name = 'schema'", "damaged state"),
        (
            "UPDATE facts SET value = json_set(value, '$.version of malscan', '0.0.1')"
            " WHERE name = 'fingerprint'",
            "had another version of malscan",
        ),
        ("ALTER TABLE images DROP COLUMN unlike", "damaged state"),
        ("ALTER TABLE images ADD COLUMN more", "damaged state"),
        ("DROP TABLE facts", "damaged state"),
    ],
)
def test_a_state_of_another_version_is_not_used(
    runs: Runs, cells: list[Path], change: str, said: str
) -> None:
    runs.run(cells)
    with sqlite3.connect(state_folder(runs.report) / FINISHED) as connection:
        connection.execute(change)

    runs.run(cells)

    assert runs.computed == names(cells)
    assert len(runs.said) == 1
    assert said in runs.said[0]


@pytest.mark.fault("the clock set back, or files from the future")
@pytest.mark.parametrize("hours", [-24 * 365, -1, 1, 24 * 365])
def test_a_clock_that_is_set_makes_no_change_unseen(
    runs: Runs, cells: list[Path], hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.run(cells)
    now = time.time_ns() + int(hours * 3600e9)
    monkeypatch.setattr(time, "time_ns", lambda: now)
    monkeypatch.setattr(time, "time", lambda: now / 1e9)
    for cell in cells[:2]:
        cell.write_bytes(b"CELL")
    os.utime(cells[1], ns=(now, now))

    runs.run(cells)

    assert runs.computed == names(cells[:2])


@pytest.mark.fault("the clock set back, or files from the future")
def test_files_from_the_future_are_settled_and_remembered(runs: Runs, cells: list[Path]) -> None:
    soon, later = time.time() + 30, time.time() + 3600
    os.utime(cells[0], (soon, soon))
    os.utime(cells[1], (later, later))
    nightly = NightlySettings(update=True, settle=60)

    found = runs.run(cells, nightly)

    assert [outcome.prediction.unsettled for outcome in found] == [True, *[False] * 4]
    runs.run(cells, nightly)
    assert runs.computed == []
