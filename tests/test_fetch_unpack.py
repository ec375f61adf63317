"""Unpacking: nothing leaves the folder, nothing half stays, nothing explodes."""

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import tiny_images, tree, write_archive
from hypothesis import given, settings
from hypothesis import strategies as st

from malscan.errors import MalscanError
from malscan.fetch import contents as limits
from malscan.fetch.contents import safe_name
from malscan.fetch.unpack import opened, unpack

IMAGES = tiny_images(patients=3, each=4)
NAME = "C1P1thinF_IMG_20150101_120000_cell_1.png"


def unpacked(archive: Path, folder: Path) -> dict[str, bytes]:
    with opened(archive) as (file, found):
        unpack(file, found.images, folder, lambda done: None)
    return tree(folder)


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.orig_filename = info.filename = name
    info.external_attr = mode << 16
    return info


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "a.zip"


@pytest.mark.parametrize("root", ["cell_images/", "", "cell_images/cell_images/", "a/b/c/"])
def test_class_folders_are_laid_flat_without_the_litter(
    archive: Path, tmp_path: Path, root: str
) -> None:
    write_archive(archive, IMAGES, roots=[root])

    assert unpacked(archive, tmp_path / "out") == IMAGES


def test_a_tree_that_is_nested_twice_comes_once(archive: Path, tmp_path: Path) -> None:
    write_archive(archive, IMAGES, roots=["cell_images/", "cell_images/cell_images/"])

    assert unpacked(archive, tmp_path / "out") == IMAGES


def test_two_different_images_of_one_name_are_refused(archive: Path) -> None:
    place = next(iter(IMAGES))
    write_archive(archive, IMAGES, more={f"again/{place}": b"something else"})

    with pytest.raises(MalscanError, match="two different images"), opened(archive):
        pass


def test_what_is_no_image_is_left_out_and_counted(archive: Path) -> None:
    more = {
        "README.txt": b"1",
        f"Uninfected/.{NAME}": b"2",
        f"__MACOSX/Uninfected/{NAME}": b"3",
        f"neither/{NAME}": b"4",
    }
    write_archive(archive, IMAGES, more=more)

    with opened(archive) as (_, found):
        assert len(found.images) == len(IMAGES)
        assert found.left_out == len(more) + 2  # a Thumbs.db in each class folder


@pytest.mark.parametrize("label", ["Parasitized", "Uninfected"])
def test_a_missing_class_is_told(archive: Path, label: str) -> None:
    write_archive(archive, {place: data for place, data in IMAGES.items() if label not in place})

    with pytest.raises(MalscanError, match=f"no {label.lower()} images"), opened(archive):
        pass


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/etc/Uninfected/a.png", "an absolute name"),
        ("C:/Uninfected/a.png", "an absolute name"),
        ("../Uninfected/a.png", "leads out"),
        ("Uninfected/../../a.png", "leads out"),
        ("Uninfected/..", "leads out"),
        ("Uninfected/..\\..\\a.png", "odd characters"),
        ("Uninfected/a\0.png", "odd characters"),
        ("Uninfected/a\n.png", "odd characters"),
        ("Uninfected/" + 300 * "a" + ".png", "too long"),
    ],
)
def test_an_evil_name_stops_everything(
    name: str, problem: str, archive: Path, tmp_path: Path
) -> None:
    write_archive(archive, IMAGES)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(entry(name), b"evil")
    before = tree(tmp_path)

    with pytest.raises(MalscanError, match=problem):
        unpacked(archive, tmp_path / "out")

    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_stop_everything(kind: int, archive: Path, tmp_path: Path) -> None:
    write_archive(archive, IMAGES)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(entry("cell_images/Uninfected/C9_IMG_1.png", kind | 0o644), b"/etc/passwd")

    with pytest.raises(MalscanError, match="a link or device"):
        unpacked(archive, tmp_path / "out")

    assert not (tmp_path / "out").exists()


@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(st.sampled_from(["..", ".", "", "a", "Uninfected", "C:"]), st.text(max_size=8)),
        min_size=1,
        max_size=5,
    ).map("/".join),
    st.integers(0, 0xFFFF),
)
def test_a_name_that_passes_stays_inside(name: str, mode: int) -> None:
    try:
        safe = safe_name(entry(name, mode))
    except MalscanError:
        return
    inside = Path("/folder")
    path = inside.joinpath(safe)
    assert path.is_relative_to(inside)
    assert ".." not in path.parts
    assert stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR)
    assert "\0" not in safe


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_archive_is_an_error_or_the_same_images(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    write_archive(folder / "a.zip", IMAGES)
    body = bytearray((folder / "a.zip").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.zip").write_bytes(body[: data.draw(st.integers(1, len(body)))])

    try:
        found = unpacked(folder / "a.zip", folder / "out")
    except MalscanError:
        assert not (folder / "out").exists()
        return
    # A name may have changed, or an image may be gone from the table; no image is damaged.
    assert set(found.values()) <= set(IMAGES.values())


def test_what_is_no_archive_is_told(archive: Path) -> None:
    archive.write_text("<html>Please log in to this network</html>")

    with pytest.raises(MalscanError, match="no ZIP archive"), opened(archive):
        pass


def bomb(data: bytes, count: int = 1) -> dict[str, bytes]:
    return {f"Uninfected/C1thin_IMG_{number}.png": data for number in range(count)}


def compressed(path: Path, images: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in {**bomb(b"1"), f"Parasitized/{NAME}": b"1", **images}.items():
            file.writestr(name, data)


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (lambda path: compressed(path, bomb(b"\0" * 16_000_001)), "an image of 16.0 MB"),
        (lambda path: compressed(path, bomb(b"\0" * 1_000_000, 20)), "20.0 MB of images in"),
    ],
)
def test_a_bomb_is_refused_from_its_table_of_contents(
    write: Callable[[Path], None], problem: str, archive: Path, tmp_path: Path
) -> None:
    write(archive)

    with pytest.raises(MalscanError, match=problem):
        unpacked(archive, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_too_many_images_are_refused(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(archive, IMAGES)
    monkeypatch.setattr(limits, "MOST_IMAGES", len(IMAGES) - 1)

    with pytest.raises(MalscanError, match="24 images, more than 23"), opened(archive):
        pass


def test_a_bomb_that_lies_about_its_size_is_not_blown_up(archive: Path, tmp_path: Path) -> None:
    compressed(archive, bomb(b"\0" * 5_000_000))
    body = archive.read_bytes()
    assert body.count((5_000_000).to_bytes(4, "little")) == 2
    archive.write_bytes(body.replace((5_000_000).to_bytes(4, "little"), b"\x10\0\0\0"))

    with pytest.raises(MalscanError, match="damaged"):
        unpacked(archive, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_an_image_with_a_wrong_checksum_leaves_nothing(archive: Path, tmp_path: Path) -> None:
    write_archive(archive, IMAGES)
    body = archive.read_bytes()
    archive.write_bytes(body.replace(b"parasitized 2 3", b"parasitized 2 4", 1))

    with pytest.raises(MalscanError, match="CRC"):
        unpacked(archive, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_what_an_earlier_cut_left_is_removed(archive: Path, tmp_path: Path) -> None:
    write_archive(archive, IMAGES)
    (tmp_path / "out/Uninfected").mkdir(parents=True)
    (tmp_path / "out/Uninfected/half.png").write_bytes(b"half")

    assert unpacked(archive, tmp_path / "out") == IMAGES


def test_a_stop_leaves_no_folder(archive: Path, tmp_path: Path) -> None:
    write_archive(archive, IMAGES)

    def stop(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), opened(archive) as (file, found):
        unpack(file, found.images, tmp_path / "out", stop)

    assert not (tmp_path / "out").exists()


def test_an_encrypted_archive_is_refused(archive: Path) -> None:
    write_archive(archive, IMAGES)
    body = bytearray(archive.read_bytes())
    body[body.rindex(b"PK\x01\x02") + 8] |= 1  # the flag in the table of contents
    archive.write_bytes(body)

    with pytest.raises(MalscanError, match="an encrypted file"), opened(archive):
        pass
