"""A fetch from end to end: from bad servers, through crashes, into a whole folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from archives import publish, tiny_images, tree, write_archive
from servers import Manners, files_of, serving

from malscan.errors import ExitCode, LockedError, MalscanError, StoppedError
from malscan.fetch.archive import Archive
from malscan.fetch.fetch import fetch
from malscan.fetch.listener import FetchListener, Phase
from malscan.fetch.part import Origin, Part
from malscan.fetch.settings import FetchSettings, Patience
from malscan.labels import CLASSES, class_of_path, patient_of_path
from malscan.walk import Walk

IMAGES = tiny_images(patients=8, each=25)
QUICK = Patience(timeout=0.5, retries=2, backoff=0.01)
LEFT = {".cell_images.lock", "cell_images.json", "patients.csv"}

DIE_AT_EVERY_STEP = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from malscan.fetch.archive import PUBLISHED
from malscan.fetch.check import check
from malscan.fetch.fetch import fetch
from malscan.fetch.settings import CheckSettings, FetchSettings

url, sha256, dest = sys.argv[1:]
rename, unlink = Path.replace, Path.unlink


def dying(step, at, after):
    count = 0
    def call(path, *args, **more):
        nonlocal count
        count += 1
        if count == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return step(path, *args, **more)
        finally:
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
    return call


def fetch_once(folder):
    return fetch(FetchSettings(folder, url=url, sha256=sha256))


deaths = 0
for name, step in (("replace", rename), ("unlink", unlink)):
    for at in range(1, 40):
        for after in (False, True):
            folder = Path(dest) / f"{name}-{at}-{after}"
            child = os.fork()
            if child == 0:
                setattr(Path, name, dying(step, at, after))
                fetch_once(folder)
                os._exit(0)
            died = os.waitpid(child, 0)[1] != 0
            deaths += died
            assert fetch_once(folder).found.is_whole, folder
            names = {path.name for path in folder.iterdir()}
            assert names == {
                ".cell_images.lock", "cell_images", "cell_images.json", "patients.csv"
            }, (folder, names)
        if not died:
            break
print("deaths", deaths)
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Archive]:
    """A folder as a server has it, and what is known of its archive."""
    folder = tmp_path_factory.mktemp("served")
    return folder, publish(folder, IMAGES)


@pytest.fixture
def server(published: tuple[Path, Archive]) -> Iterator[Manners]:
    with serving(Manners(files_of(published[0]))) as manners:
        yield manners


@pytest.fixture
def archive(published: tuple[Path, Archive], server: Manners) -> Archive:
    return replace(published[1], urls=(f"{server.url}/cell_images.zip",))


@pytest.fixture
def settings(archive: Archive, tmp_path: Path) -> FetchSettings:
    return FetchSettings(tmp_path / "d", published=archive, patience=QUICK)


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def listener(messages: list[str]) -> FetchListener:
    return FetchListener(on_message=messages.append)


def cells(dest: Path) -> dict[str, bytes]:
    return tree(dest / "cell_images")


def names(dest: Path) -> set[str]:
    return {path.name for path in dest.iterdir()}


def test_a_fetch_leaves_images_patients_and_manifest_and_nothing_else(
    settings: FetchSettings,
) -> None:
    result = fetch(settings)

    assert cells(settings.dest) == IMAGES
    assert names(settings.dest) == LEFT | {"cell_images"}
    assert (result.already, result.found.is_whole) == (False, True)
    table = pd.read_csv(settings.dest / "patients.csv")
    assert list(table.columns) == ["path", "label", "slide_id", "patient"]
    assert len(table) == len(IMAGES)
    assert table["patient"].nunique() == 8
    assert all((settings.dest / path).is_file() for path in table["path"])


def test_a_walk_finds_what_was_fetched_with_label_and_patient(settings: FetchSettings) -> None:
    fetch(settings)
    walk = Walk([str(settings.dest / "cell_images")])

    found = [image.path for image in walk]

    assert (len(found), walk.skipped, walk.notes) == (len(IMAGES), 0, [])
    assert {class_of_path(path) for path in found} == set(CLASSES)
    assert len({patient_of_path(path) for path in found}) == 8


def test_a_whole_folder_is_left_alone(settings: FetchSettings, server: Manners) -> None:
    fetch(settings)
    before = {path: path.stat().st_mtime_ns for path in settings.dest.rglob("*")}
    server.asked.clear()

    result = fetch(settings)

    assert result.already
    assert server.asked == []
    after = {path: path.stat().st_mtime_ns for path in settings.dest.rglob("*")}
    lock = settings.dest / ".cell_images.lock"
    assert {**after, lock: 0} == {**before, lock: 0}


def test_a_folder_that_is_not_whole_is_mended(settings: FetchSettings) -> None:
    fetch(settings)
    next((settings.dest / "cell_images/Parasitized").iterdir()).unlink()
    next((settings.dest / "cell_images/Uninfected").iterdir()).write_bytes(b"")

    assert not fetch(settings).already
    assert cells(settings.dest) == IMAGES
    assert names(settings.dest) == LEFT | {"cell_images"}


def test_a_folder_that_was_unpacked_by_hand_is_taken_over(settings: FetchSettings) -> None:
    for place, data in list(IMAGES.items())[:-3]:
        path = settings.dest / "cell_images" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    fetch(settings)

    assert cells(settings.dest) == IMAGES


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize(
    "name", ["Uninfected/mine.png", "thesis.txt", "Uninfected/thesis.txt", ".hidden"]
)
def test_files_of_the_user_are_never_replaced(
    settings: FetchSettings, name: str, with_manifest: bool
) -> None:
    fetch(settings)
    next((settings.dest / "cell_images/Parasitized").iterdir()).unlink()
    (settings.dest / "cell_images" / name).write_bytes(b"years of work")
    if not with_manifest:
        (settings.dest / "cell_images.json").unlink()
        (settings.dest / "patients.csv").unlink()

    with pytest.raises(MalscanError, match=r"not of the archive.*Move them away") as caught:
        fetch(settings)

    assert name in str(caught.value)
    assert cells(settings.dest)[name] == b"years of work"


def test_a_table_of_the_user_is_never_replaced(settings: FetchSettings) -> None:
    settings.dest.mkdir()
    (settings.dest / "patients.csv").write_text("mine")

    with pytest.raises(MalscanError, match="not from a fetch"):
        fetch(settings)

    assert (settings.dest / "patients.csv").read_text() == "mine"


def test_a_link_in_the_place_is_refused(settings: FetchSettings, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    settings.dest.mkdir()
    (settings.dest / "cell_images").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(MalscanError, match="is a link"):
        fetch(settings)


def test_another_archive_does_not_go_into_the_same_place(
    settings: FetchSettings, tmp_path: Path
) -> None:
    fetch(settings)
    other = publish(tmp_path / "other", tiny_images(2, 2))

    with pytest.raises(MalscanError, match="comes from another archive"):
        fetch(replace(settings, from_file=tmp_path / "other/cell_images.zip", sha256=other.sha256))

    assert cells(settings.dest) == IMAGES


@pytest.mark.fault("a damaged download, and its damaged record (bytes flipped)")
def test_a_damaged_part_of_a_download_costs_a_download(
    settings: FetchSettings,
    server: Manners,
    archive: Archive,
    messages: list[str],
    listener: FetchListener,
    record_property: Callable[[str, object], None],
) -> None:
    half = server.files["/cell_images.zip"][:20_000]
    origin = Origin(archive.urls[0], server.etag, archive.size)
    places = range(0, len(half), len(half) // 5)
    for place in places:
        shutil.rmtree(settings.dest, ignore_errors=True)
        settings.dest.mkdir()
        part = Part(settings.dest / "cell_images.zip")
        part.begin(origin)
        part.path.write_bytes(half[:place] + bytes([half[place] ^ 1]) + half[place + 1 :])
        messages.clear()

        fetch(settings, listener)

        assert cells(settings.dest) == IMAGES
        assert names(settings.dest) == LEFT | {"cell_images"}
        assert "The 20.0 kB that an earlier run left are damaged: starting again." in messages
    record_property("tried", len(places))


@pytest.mark.fault("a damaged download, and its damaged record (bytes flipped)")
def test_a_damaged_record_of_a_download_costs_a_download_at_most(
    settings: FetchSettings,
    server: Manners,
    archive: Archive,
    record_property: Callable[[str, object], None],
) -> None:
    half = server.files["/cell_images.zip"][:20_000]
    tried = 0
    for place in range(0, 90, 18):
        shutil.rmtree(settings.dest, ignore_errors=True)
        settings.dest.mkdir()
        part = Part(settings.dest / "cell_images.zip")
        part.begin(Origin(archive.urls[0], server.etag, archive.size))
        part.path.write_bytes(half)
        (record,) = settings.dest.glob(".*.json")
        whole = record.read_bytes()
        record.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])

        fetch(settings)

        tried += 1
        assert cells(settings.dest) == IMAGES
    record_property("tried", tried)


def test_the_older_address_is_asked_when_the_newer_one_fails(
    settings: FetchSettings,
    archive: Archive,
    server: Manners,
    messages: list[str],
    listener: FetchListener,
) -> None:
    urls = (f"{server.url}/moved/cell_images.zip", archive.urls[0])

    fetch(replace(settings, published=replace(archive, urls=urls)), listener)

    assert cells(settings.dest) == IMAGES
    assert any("404 Not Found. Trying the next address." in text for text in messages)


def test_a_wrong_body_is_told_with_both_hashes_and_kept_aside(
    settings: FetchSettings, archive: Archive, server: Manners
) -> None:
    body = server.files["/cell_images.zip"]
    server.files["/cell_images.zip"] = body[:-1] + b"!"

    with pytest.raises(MalscanError) as caught:
        fetch(settings)

    aside = settings.dest / "cell_images.zip.mismatch"
    assert str(archive.sha256) in str(caught.value)
    assert str(aside) in str(caught.value)
    got = subprocess.run(["sha256sum", aside], capture_output=True, text=True, check=True)
    assert got.stdout.split()[0] in str(caught.value)
    assert not (settings.dest / "cell_images").exists()

    server.files["/cell_images.zip"] = body
    fetch(settings)
    assert cells(settings.dest) == IMAGES
    assert aside.exists()


def test_after_a_wrong_body_the_next_address_is_tried(
    settings: FetchSettings, archive: Archive, server: Manners
) -> None:
    server.files["/login/cell_images.zip"] = b"<html>Please log in</html>"
    urls = (f"{server.url}/login/cell_images.zip", archive.urls[0])

    fetch(replace(settings, published=replace(archive, urls=urls)))

    assert cells(settings.dest) == IMAGES
    aside = settings.dest / "cell_images.zip.mismatch"
    assert aside.read_bytes() == b"<html>Please log in</html>"


def test_a_wrong_mapping_file_is_told(settings: FetchSettings, server: Manners) -> None:
    name = "/patientid_cellmapping_uninfected.csv"
    server.files[name] = server.files[name].replace(b"C1P1", b"C2P1", 1)

    with pytest.raises(MalscanError, match=r"not the published one.*--no-patients"):
        fetch(settings)

    assert f"{server.url}/cell_images.zip" not in [path for path, _ in server.asked]


def test_missing_mapping_files_are_told_before_the_long_download(
    settings: FetchSettings, server: Manners
) -> None:
    del server.files["/patientid_cellmapping_uninfected.csv"]

    with pytest.raises(MalscanError, match=r"404 Not Found.*--no-patients"):
        fetch(settings)
    assert "/cell_images.zip" not in [path for path, _ in server.asked]

    fetch(replace(settings, patients=False))
    assert cells(settings.dest) == IMAGES
    assert not (settings.dest / "patients.csv").exists()


def test_the_table_of_patients_can_be_had_later_without_the_archive(
    settings: FetchSettings, server: Manners
) -> None:
    fetch(replace(settings, patients=False))
    server.asked.clear()

    assert not fetch(settings).already

    assert "/cell_images.zip" not in [path for path, _ in server.asked]
    assert len(pd.read_csv(settings.dest / "patients.csv")) == len(IMAGES)


def test_a_table_that_was_changed_is_made_again(settings: FetchSettings, server: Manners) -> None:
    fetch(settings)
    table = (settings.dest / "patients.csv").read_bytes()
    (settings.dest / "patients.csv").write_bytes(table[:-10])

    fetch(settings)

    assert (settings.dest / "patients.csv").read_bytes() == table


def test_a_machine_without_internet_takes_a_file(
    settings: FetchSettings, published: tuple[Path, Archive], server: Manners
) -> None:
    before = tree(published[0])

    fetch(replace(settings, from_file=published[0] / "cell_images.zip"))

    assert cells(settings.dest) == IMAGES
    assert names(settings.dest) == LEFT | {"cell_images"}
    assert server.asked == []
    assert tree(published[0]) == before


def test_without_mapping_files_beside_it_the_names_tell_the_patients(
    settings: FetchSettings,
    published: tuple[Path, Archive],
    tmp_path: Path,
    messages: list[str],
    listener: FetchListener,
) -> None:
    shutil.copy(published[0] / "cell_images.zip", tmp_path)

    fetch(replace(settings, from_file=tmp_path / "cell_images.zip"), listener)

    assert any("the names alone tell" in text for text in messages)
    assert len(pd.read_csv(settings.dest / "patients.csv")) == len(IMAGES)


def test_an_archive_that_lies_in_the_place_itself_is_not_removed(
    settings: FetchSettings, published: tuple[Path, Archive]
) -> None:
    settings.dest.mkdir()
    zipped = settings.dest / "cell_images.zip"
    shutil.copy(published[0] / "cell_images.zip", zipped)

    fetch(replace(settings, from_file=zipped))

    assert cells(settings.dest) == IMAGES
    assert zipped.exists()


def test_a_download_that_is_named_as_the_file_is_not_removed(
    settings: FetchSettings, published: tuple[Path, Archive]
) -> None:
    settings.dest.mkdir()
    zipped = settings.dest / "cell_images.zip"
    shutil.copy(published[0] / "cell_images.zip", zipped)
    Part(zipped).record(Origin("http://a/cell_images.zip", None, zipped.stat().st_size))

    fetch(replace(settings, from_file=zipped))

    assert cells(settings.dest) == IMAGES
    assert zipped.exists()


def test_what_was_set_aside_is_not_written_over(tmp_path: Path) -> None:
    part = Part(tmp_path / "cell_images.zip")
    for number in range(3):
        part.target.write_text(f"archive {number}")
        part.set_aside()

    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {
        "cell_images.zip.mismatch": "archive 0",
        "cell_images.zip.mismatch.2": "archive 1",
        "cell_images.zip.mismatch.3": "archive 2",
    }


@pytest.mark.parametrize(("sample", "growth"), [(None, 1.2), (60, 0)])
def test_space_is_asked_for_before_the_download(
    settings: FetchSettings,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    sample: int | None,
    growth: float,
) -> None:
    asked: list[Mapping[str, int]] = []
    monkeypatch.setattr(
        "malscan.fetch.acquire.check_space", lambda dest, needs: asked.append(needs)
    )

    fetch(replace(settings, sample=sample))

    assert archive.size
    assert asked[-1] == {"archive": archive.size, "images": round(growth * archive.size)}


def test_a_file_that_is_another_archive_is_told_and_stays(
    settings: FetchSettings, tmp_path: Path
) -> None:
    zipped = tmp_path / "mine.zip"
    write_archive(zipped, tiny_images(1, 1))

    with pytest.raises(MalscanError, match="not the archive asked for"):
        fetch(replace(settings, from_file=zipped))

    assert zipped.exists()


def test_a_mirror_can_be_a_folder(settings: FetchSettings, published: tuple[Path, Archive]) -> None:
    fetch(replace(settings, url=(published[0] / "cell_images.zip").as_uri()))

    assert cells(settings.dest) == IMAGES


def test_a_folder_without_mapping_files_is_told(
    settings: FetchSettings, published: tuple[Path, Archive], tmp_path: Path
) -> None:
    shutil.copy(published[0] / "cell_images.zip", tmp_path)
    url = (tmp_path / "cell_images.zip").as_uri()

    with pytest.raises(MalscanError, match=r"no patientid_cellmapping.*--no-patients"):
        fetch(replace(settings, url=url))

    fetch(replace(settings, url=url, patients=False))
    assert cells(settings.dest) == IMAGES


def test_any_archive_can_be_asked_for(settings: FetchSettings, tmp_path: Path) -> None:
    zipped = tmp_path / "mine.zip"
    write_archive(zipped, tiny_images(2, 3), roots=["x/", "x/x/"])

    result = fetch(replace(settings, from_file=zipped, sha256="none"))

    assert cells(settings.dest) == tiny_images(2, 3)
    assert result.found.patients() == 2
    assert fetch(replace(settings, from_file=zipped, sha256="none")).already


def test_mapping_files_of_another_mirror_are_fetched_again(
    settings: FetchSettings, archive: Archive, server: Manners, tmp_path: Path
) -> None:
    other = publish(tmp_path / "other", tiny_images(2, 3))
    files = files_of(tmp_path / "other")
    del files["/cell_images.zip"]
    with serving(Manners(files)) as broken:
        url = f"{broken.url}/cell_images.zip"
        with pytest.raises(MalscanError, match="404"):
            fetch(replace(settings, url=url, sha256=other.sha256))

    unknown = archive.another(archive.sha256)
    fetch(replace(settings, published=unknown))

    assert len(pd.read_csv(settings.dest / "patients.csv")) == len(IMAGES)


def test_the_downloads_are_kept_on_request(settings: FetchSettings, server: Manners) -> None:
    kept = replace(settings, keep_archive=True)
    fetch(kept)

    downloads = {name.lstrip("/") for name in server.files}
    assert names(settings.dest) == LEFT | {"cell_images"} | downloads

    shutil.rmtree(settings.dest / "cell_images")
    server.asked.clear()
    fetch(settings)
    assert server.asked == []
    assert cells(settings.dest) == IMAGES
    assert names(settings.dest) == LEFT | {"cell_images"} | downloads


def test_a_sample_has_whole_patients_and_their_rows_only(settings: FetchSettings) -> None:
    result = fetch(replace(settings, sample=120))

    found = cells(settings.dest)
    assert len(found) == 150  # three patients of 50
    assert result.found.patients() == 3
    table = pd.read_csv(settings.dest / "patients.csv")
    assert {f"cell_images/{place}" for place in found} == set(table["path"])
    assert fetch(replace(settings, sample=120)).already


def test_a_sample_of_everything_is_the_whole_set(settings: FetchSettings) -> None:
    result = fetch(replace(settings, sample=10_000))

    assert cells(settings.dest) == IMAGES
    assert result.found.manifest and result.found.manifest.sample is None
    assert fetch(settings).already


def test_a_sample_becomes_another_one_or_the_whole_set(settings: FetchSettings) -> None:
    for sample, images in ((60, 100), (200, 200), (None, 400)):
        fetch(replace(settings, sample=sample))
        assert len(cells(settings.dest)) == images
        assert len(pd.read_csv(settings.dest / "patients.csv")) == images

    assert fetch(replace(settings, sample=60)).already
    assert cells(settings.dest) == IMAGES


def test_what_a_cut_run_left_is_removed_although_all_is_there(settings: FetchSettings) -> None:
    fetch(settings)
    for name in (".cell_images.partial", ".cell_images.replaced.partial"):
        (settings.dest / name / "Uninfected").mkdir(parents=True)

    assert fetch(settings).already

    assert names(settings.dest) == LEFT | {"cell_images"}


def test_a_table_that_fits_no_more_does_not_stay(settings: FetchSettings) -> None:
    fetch(replace(settings, sample=60))

    fetch(replace(settings, patients=False))

    assert cells(settings.dest) == IMAGES
    assert not (settings.dest / "patients.csv").exists()


def test_without_a_hash_an_archive_from_elsewhere_is_not_taken_for_the_download(
    settings: FetchSettings, archive: Archive
) -> None:
    settings.dest.mkdir()
    write_archive(settings.dest / "cell_images.zip", tiny_images(1, 1))
    mine = (settings.dest / "cell_images.zip").read_bytes()

    fetch(replace(settings, sha256="none", url=archive.urls[0]))

    assert cells(settings.dest) == IMAGES
    assert (settings.dest / "cell_images.zip.mismatch").read_bytes() == mine


def test_the_counts_of_the_published_archive_must_be_there(
    settings: FetchSettings, archive: Archive
) -> None:
    for wrong in (replace(archive, images_per_class=201), replace(archive, patients=7)):
        with pytest.raises(MalscanError, match=r"not (201|7)"):
            fetch(replace(settings, published=wrong))

    assert not (settings.dest / "cell_images").exists()


def test_two_fetches_into_one_place_do_not_meet(settings: FetchSettings) -> None:
    locked: list[LockedError] = []

    def again(phase: Phase) -> None:
        if phase.unit == "images":
            with pytest.raises(LockedError) as caught:
                fetch(settings)
            locked.append(caught.value)

    fetch(settings, FetchListener(on_phase=again))

    assert [error.exit_code for error in locked] == [ExitCode.LOCKED]
    assert cells(settings.dest) == IMAGES


@pytest.mark.parametrize("unit", ["B", "images"])
def test_a_stop_says_what_is_kept_and_the_same_call_goes_on(
    settings: FetchSettings, server: Manners, unit: str
) -> None:
    phases: list[Phase] = []

    def stop(done: int) -> None:
        if phases[-1].unit == unit and done > 40:
            raise StoppedError(ExitCode.INTERRUPTED, "interrupted")

    with pytest.raises(StoppedError, match=r"kept, and the same command goes on"):
        fetch(settings, FetchListener(on_phase=phases.append, on_progress=stop))
    assert not (settings.dest / "cell_images").exists()
    assert ".cell_images.partial" not in names(settings.dest)

    sent = server.sent
    fetch(settings)
    assert cells(settings.dest) == IMAGES
    if unit == "images":
        assert server.sent == sent


@pytest.mark.fault("`malscan fetch`: kill -9 before and after each rename and removal")
def test_a_process_killed_around_any_rename_or_removal_ends_whole(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    archive = publish(tmp_path / "served", tiny_images(2, 2))
    with serving(Manners(files_of(tmp_path / "served"))) as server:
        args = [f"{server.url}/cell_images.zip", str(archive.sha256), str(tmp_path)]
        program = [sys.executable, "-c", DIE_AT_EVERY_STEP, *args]
        done = subprocess.run(program, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    deaths = int(done.stdout.split()[1])
    assert deaths >= 40
    record_property("tried", deaths)


def test_a_process_killed_while_it_unpacks_ends_whole(
    archive: Archive, server: Manners, tmp_path: Path
) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from malscan.fetch.fetch import fetch\n"
        "from malscan.fetch.listener import FetchListener\n"
        "from malscan.fetch.settings import FetchSettings\n"
        "phases = []\n"
        "def die(done):\n"
        "    if phases[-1].unit == 'images' and done == 200: os.kill(os.getpid(), signal.SIGKILL)\n"
        "fetch(FetchSettings(Path(sys.argv[3]), url=sys.argv[1], sha256=sys.argv[2]),\n"
        "      FetchListener(on_phase=phases.append, on_progress=die))\n"
    )
    args = [archive.urls[0], str(archive.sha256), str(tmp_path / "d")]
    killed = subprocess.run([sys.executable, "-c", program, *args], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(tree(tmp_path / "d/.cell_images.partial")) == 200
    assert not (tmp_path / "d/cell_images").exists()

    server.asked.clear()
    fetch(FetchSettings(tmp_path / "d", url=args[0], sha256=args[1]))

    assert cells(tmp_path / "d") == IMAGES
    assert server.asked == []
    assert names(tmp_path / "d") == LEFT | {"cell_images"}


def test_the_manifest_tells_where_the_images_come_from(
    settings: FetchSettings, archive: Archive
) -> None:
    fetch(settings)

    manifest = json.loads((settings.dest / "cell_images.json").read_text())

    assert manifest["source"] == archive.urls[0]
    assert manifest["sha256"] == archive.sha256
    assert manifest["images"] == {place: len(data) for place, data in IMAGES.items()}


def test_a_folder_that_cannot_be_made_is_told(settings: FetchSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")

    with pytest.raises(MalscanError, match="cannot write"):
        fetch(replace(settings, dest=tmp_path / "file" / "d"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable_is_told(settings: FetchSettings) -> None:
    settings.dest.mkdir(mode=0o500)

    with pytest.raises(MalscanError, match="cannot write"):
        fetch(settings)
