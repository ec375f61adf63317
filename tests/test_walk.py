"""Tests of the walk: which images are found, in what order, and what they are counted under."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malscan.errors import UsageError
from malscan.walk import CellImage, Walk

Tree = dict[bytes, "Tree | None"]
"""A folder: names to folders, or to None for a file."""

SUFFIXES = ["png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "webp", "bmp", "dib", "gif"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def link(name: str, target: str) -> None:
    """Make a symbolic link to a target that is given from the current folder."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(Path(target).absolute())


def found(*paths: str, listed: tuple[str, ...] = ()) -> list[str]:
    return [image.path for image in Walk(paths, listed=listed)]


def slides(*paths: str, listed: tuple[str, ...] = ()) -> dict[str, str]:
    return {image.path: image.slide for image in Walk(paths, listed=listed)}


# Order


def test_folders_are_walked_depth_first_and_entries_come_by_name_bytes() -> None:
    touch("A/b/2.png", "A/b/10.png", "A/a.png", "A/B.png", "A/b.png", "A/é.png", "A/a/z.png")
    touch("A/a-b/1.png", "A/z.png", "A/Z.png")
    assert found("A") == [
        "A/B.png",
        "A/Z.png",
        "A/a/z.png",
        "A/a-b/1.png",
        "A/a.png",
        "A/b/10.png",
        "A/b/2.png",
        "A/b.png",
        "A/z.png",
        "A/é.png",
    ]


def test_paths_keep_the_order_they_are_given_in() -> None:
    touch("A/1.png", "B/1.png", "C.png")
    assert found("C.png", "B", "A") == ["C.png", "B/1.png", "A/1.png"]


def test_lists_keep_their_order_and_come_after_the_paths() -> None:
    touch("A/1.png", "B/1.png", "B/2.png", "C/1.png")
    listed = ("B/2.png", "C", "B/1.png")
    assert found("A", listed=listed) == ["A/1.png", "B/2.png", "C/1.png", "B/1.png"]
    assert found(listed=listed) == ["B/2.png", "C/1.png", "B/1.png"]


def test_a_walk_is_the_same_every_time() -> None:
    touch(*(f"A/{n % 7}/{n * 37 % 101}.png" for n in range(100)))
    assert found("A") == found("A")
    assert len(found("A")) == 100


# What is an image


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_image_suffixes_count_in_any_case(suffix: str) -> None:
    names = [f"A/1.{suffix}", f"A/2.{suffix.upper()}", f"A/3.{suffix.title()}"]
    touch(*names)
    assert found("A") == names


def test_entries_that_are_no_images_are_counted_as_skipped() -> None:
    touch("A/Thumbs.db", "A/notes.txt", "A/png", "A/x.png.part", "A/cell.png")
    touch("A/.png", "A/.hidden.png", "A/.DS_Store", "A/.cache/cell.png")
    walk = Walk(["A"])
    assert [image.path for image in walk] == ["A/cell.png"]
    assert walk.skipped == 8
    assert walk.images == 1
    assert walk.finished


def test_every_entry_of_every_folder_is_counted_whatever_it_is() -> None:
    touch("A/b.png", "A/c.txt", "A/.hidden", "A/deep/er/d.csv")
    walk = Walk(["A"])
    assert len(list(walk)) == 1
    # Four in A, one in A/deep, one in A/deep/er.
    assert walk.entries == 6


def test_hidden_and_other_files_given_directly_are_counted_as_skipped() -> None:
    touch("A/notes.txt", "A/.hidden.png", "A/Thumbs.db")
    walk = Walk(["A/notes.txt", "A/.hidden.png"], listed=["A/Thumbs.db"])
    assert list(walk) == []
    assert walk.skipped == 3


def test_an_empty_folder_gives_no_image() -> None:
    Path("A").mkdir()
    walk = Walk(["A"])
    assert list(walk) == []
    assert walk.finished
    assert (walk.images, walk.skipped, walk.notes) == (0, 0, [])


def test_a_folder_whose_name_ends_like_an_image_is_walked() -> None:
    touch("A/x.png/cell.png")
    assert slides("A") == {"A/x.png/cell.png": "x.png"}


def test_things_that_are_no_regular_files_but_are_named_like_images_come_out() -> None:
    Path("A").mkdir()
    os.mkfifo("A/fifo.png")
    link("A/gone.png", "nowhere.png")
    Path("A/self.png").symlink_to("self.png")
    assert found("A") == ["A/fifo.png", "A/gone.png", "A/self.png"]


# Slides


def test_a_slide_is_the_folder_relative_to_the_only_path() -> None:
    touch("data/day 1/s1/a.png", "data/day 1/b.png")
    assert slides("data") == {"data/day 1/b.png": "day 1", "data/day 1/s1/a.png": "day 1/s1"}


@pytest.mark.parametrize("path", ["up/data", "up/data/", "up/data//", "./up/data"])
def test_an_image_directly_in_the_only_path_has_the_name_of_its_folder(path: str) -> None:
    touch("up/data/a.png", "up/data/s1/b.png")
    assert sorted(slides(path).values()) == ["data", "s1"]


def test_paths_are_named_as_they_were_typed() -> None:
    touch("up/data/a.png")
    assert found("./up/data/") == ["./up/data/a.png"]
    assert found(str(Path("up").absolute())) == [str(Path("up/data/a.png").absolute())]


def test_the_current_folder_gives_its_own_name_as_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("up/data/a.png", "up/data/s1/b.png")
    monkeypatch.chdir("up/data")
    assert slides(".") == {"./a.png": "data", "./s1/b.png": "s1"}


def test_the_parent_folder_gives_its_own_name_as_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("up/data/a.png", "up/b.png")
    monkeypatch.chdir("up/data")
    assert slides("..") == {"../b.png": "up", "../data/a.png": "data"}


def test_several_paths_prefix_their_slides_as_typed() -> None:
    touch("A/s1/1.png", "A/2.png", "up/B/s1/3.png", "up/B/4.png")
    assert slides("A", "./up/B/") == {
        "A/s1/1.png": "A/s1",
        "A/2.png": "A",
        "./up/B/s1/3.png": "./up/B/s1",
        "./up/B/4.png": "./up/B",
    }


def test_files_given_directly_are_counted_under_their_parent_folder_as_given() -> None:
    touch("A/s1/1.png", "2.png")
    absolute = str(Path("A/s1/1.png").absolute())
    assert slides("A/s1/1.png", "2.png") == {"A/s1/1.png": "A/s1", "2.png": "."}
    assert slides("./A/s1/1.png") == {"./A/s1/1.png": "./A/s1"}
    assert slides(absolute) == {absolute: absolute.removesuffix("/1.png")}


def test_listed_files_are_counted_under_their_parent_folder_as_given() -> None:
    touch("A/s1/1.png", "2.png", "C/s2/3.png")
    assert slides(listed=("A/s1/1.png", "2.png", "C")) == {
        "A/s1/1.png": "A/s1",
        "2.png": ".",
        "C/s2/3.png": "C/s2",
    }


# Every image once


@pytest.mark.timeout(60)
def test_a_symlink_loop_ends() -> None:
    touch("A/s1/1.png", "A/s2/2.png")
    link("A/s1/up", "A")
    link("A/s1/beside", "A/s2")
    link("A/s2/beside", "A/s1")
    link("A/here", "A")
    assert sorted(Path(path).name for path in found("A")) == ["1.png", "2.png"]


def test_a_link_to_a_folder_outside_is_followed() -> None:
    touch("elsewhere/1.png")
    link("A/linked", "elsewhere")
    assert slides("A") == {"A/linked/1.png": "linked"}


def test_a_linked_folder_is_walked_once() -> None:
    touch("elsewhere/1.png")
    link("A/linked 1", "elsewhere")
    link("A/linked 2", "elsewhere")
    assert found("A") == ["A/linked 1/1.png"]


@pytest.mark.parametrize("name", ["A/a.png", "A/z.png", "A/0/link.png", "A/z/link.png"])
def test_a_file_and_a_link_to_it_under_one_path_count_once(name: str) -> None:
    touch("A/s1/1.png")
    link(name, "A/s1/1.png")
    assert found("A") == ["A/s1/1.png"]


def test_links_to_one_file_outside_count_once() -> None:
    touch("elsewhere/1.png")
    link("A/a.png", "elsewhere/1.png")
    link("A/b.png", "elsewhere/1.png")
    link("A/c/d.png", "A/a.png")
    assert found("A") == ["A/a.png"]


def test_a_link_to_a_file_of_another_name_or_hidden_place_counts() -> None:
    touch("A/data.bin", "A/.store/1.png")
    link("A/a.png", "A/data.bin")
    link("A/b.png", "A/.store/1.png")
    assert found("A") == ["A/a.png", "A/b.png"]


@pytest.mark.parametrize("name", ["A/a.png", "A/z.png"])
def test_a_linked_file_that_a_linked_folder_holds_too_counts_once(name: str) -> None:
    touch("elsewhere/1.png")
    link("A/folder", "elsewhere")
    link(name, "elsewhere/1.png")
    assert len(found("A")) == 1


@pytest.mark.parametrize(
    "paths",
    [
        ("A", "A/s1"),
        ("A/s1", "A"),
        ("A", "A/s1/x.png"),
        ("A/s1/x.png", "A"),
        ("A", "A/y.png"),
        ("A/y.png", "A"),
        ("A/s1", "A/s1/x.png", "A", "A/y.png"),
        ("A", "A"),
        ("A", "./A/", "A/../A"),
        ("A", "link to A", "link to x.png"),
        ("link to x.png", "link to A", "A"),
    ],
)
def test_overlapping_paths_count_every_image_once(paths: tuple[str, ...]) -> None:
    touch("A/s1/x.png", "A/y.png")
    link("link to A", "A")
    link("link to x.png", "A/s1/x.png")
    for walked in (found(*paths), found(listed=paths), found(*paths[:1], listed=paths[1:])):
        assert sorted(os.path.realpath(path) for path in walked) == [
            str(Path("A/s1/x.png").resolve()),
            str(Path("A/y.png").resolve()),
        ]


def test_overlapping_paths_count_an_image_where_it_is_met_first() -> None:
    touch("A/s1/x.png", "A/y.png")
    assert slides("A/s1", "A") == {"A/s1/x.png": "A/s1", "A/y.png": "A"}
    assert found("A/y.png", "A") == ["A/y.png", "A/s1/x.png"]


def test_a_file_given_twice_counts_once() -> None:
    touch("A/x.png")
    link("link.png", "A/x.png")
    assert found("A/x.png", "./A/x.png", "A/../A/x.png", "link.png") == ["A/x.png"]


def test_overlap_is_found_after_a_change_of_the_current_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for folder in ("day 1", "day 2"):
        touch(f"{folder}/A/x.png")
        link(f"{folder}/link.png", f"{folder}/A/x.png")
    monkeypatch.chdir("day 1")
    assert found("link.png", "A/x.png") == ["link.png"]
    monkeypatch.chdir("../day 2")
    assert found("link.png", "A/x.png") == ["link.png"]


def test_hard_links_are_separate_images() -> None:
    touch("A/1.png")
    Path("A/2.png").hardlink_to("A/1.png")
    assert found("A") == ["A/1.png", "A/2.png"]
    assert found("A/1.png", "A") == ["A/1.png", "A/2.png"]


@pytest.mark.parametrize("missing", ["A/gone.png", "gone/gone.png"])
def test_a_listed_file_that_is_not_there_comes_out_to_fail_later(missing: str) -> None:
    touch("A/1.png")
    assert found("A", listed=(missing,)) == ["A/1.png", missing]


def test_a_link_given_directly_to_a_file_that_no_walk_counts_comes_out() -> None:
    touch("A/data.bin", "A/1.png")
    link("link.png", "A/data.bin")
    assert found("A", "link.png") == ["A/1.png", "link.png"]


# Copies


def test_a_nested_copy_of_the_class_folders_is_skipped_with_a_note() -> None:
    for base in ("cell_images", "cell_images/cell_images"):
        touch(f"{base}/Parasitized/1.png", f"{base}/Uninfected/2.png")
    walk = Walk(["cell_images"])
    assert [image.path for image in walk] == [
        "cell_images/Parasitized/1.png",
        "cell_images/Uninfected/2.png",
    ]
    (note,) = walk.notes
    assert "cell_images/cell_images" in note


def test_a_nested_copy_is_seen_from_inside_and_further_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for base in ("up/X", "up/X/X"):
        touch(f"{base}/Parasitized/1.png", f"{base}/Uninfected/2.png")
    assert found("up") == ["up/X/Parasitized/1.png", "up/X/Uninfected/2.png"]
    monkeypatch.chdir("up/X")
    assert found(".") == ["./Parasitized/1.png", "./Uninfected/2.png"]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (["s1"], ["s1"]),
        (["s1"], ["Parasitized", "Uninfected"]),
        (["Parasitized"], ["Uninfected"]),
        (["Parasitized", "Uninfected"], ["s1"]),
    ],
)
def test_a_folder_of_its_parents_name_that_is_no_copy_is_walked(
    outer: list[str], inner: list[str]
) -> None:
    touch(*(f"X/{name}/1.png" for name in outer), *(f"X/X/{name}/1.png" for name in inner))
    walk = Walk(["X"])
    assert len(list(walk)) == len(outer) + len(inner)
    assert walk.notes == []


def test_class_folders_in_a_folder_of_another_name_are_walked() -> None:
    for base in ("X", "X/Y"):
        touch(f"{base}/Parasitized/1.png", f"{base}/Uninfected/2.png")
    assert len(found("X")) == 4


# Trouble


def test_a_missing_path_is_a_usage_error_before_the_walk() -> None:
    touch("A/1.png")
    with pytest.raises(UsageError, match=r"no such file or folder: A/gone"):
        Walk(["A", "A/gone"])


def test_the_message_for_a_missing_path_can_be_printed_whatever_its_name() -> None:
    with pytest.raises(UsageError) as caught:
        Walk([os.fsdecode(b"gone\xff")])
    assert r"gone\xff" in str(caught.value)
    str(caught.value).encode()


@pytest.fixture
def unlistable(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Refuse to list folders whose path ends so, as for a user without the right to."""
    listing = os.scandir

    def deny(ending: bytes) -> None:
        def scandir(path: bytes) -> Iterator[os.DirEntry[bytes]]:
            if os.fsencode(path).endswith(ending):
                raise PermissionError(13, "Permission denied")
            return listing(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return deny


def test_a_folder_that_cannot_be_listed_comes_out_as_failed(
    unlistable: Callable[[bytes], None],
) -> None:
    touch("A/s1/1.png", "A/s2/2.png", "A/s3/3.png")
    unlistable(b"A/s2")
    good1, failed, good3 = Walk(["A"])
    assert (good1.path, good1.error) == ("A/s1/1.png", None)
    assert (good3.path, good3.error) == ("A/s3/3.png", None)
    assert (failed.path, failed.slide) == ("A/s2", "s2")
    assert failed.error is not None
    assert "cannot be listed" in failed.error
    assert "Permission denied" in failed.error


def test_a_path_that_cannot_be_listed_comes_out_as_failed(
    unlistable: Callable[[bytes], None],
) -> None:
    touch("A/1.png")
    unlistable(b"A")
    walk = Walk(["A"])
    (failed,) = walk
    assert (failed.path, failed.slide) == ("A", "A")
    assert failed.error is not None
    assert walk.images == 1


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"a\nb.png", b"a, b;\t'\".png", b"\xff\xfe.png"])
def test_names_of_any_bytes_survive(name: bytes) -> None:
    folder = b"slide \xff\n" + name
    Path(os.fsdecode(b"A/" + folder)).mkdir(parents=True)
    written = os.fsdecode(b"A/" + folder + b"/" + name)
    Path(written).write_bytes(b"content")
    (image,) = Walk(["A"])
    assert os.fsencode(image.path) == b"A/" + folder + b"/" + name
    assert os.fsencode(image.slide) == folder
    assert Path(image.path).read_bytes() == b"content"
    with open(os.fsencode(image.path), "rb") as file:  # noqa: PTH123 - a path of bytes
        assert file.read() == b"content"
    assert list(Walk([], listed=[image.path])) == [CellImage(image.path, f"A/{image.slide}")]


def test_depth_is_no_limit(tmp_path: Path) -> None:
    depth = 400
    here = tmp_path
    for level in range(depth):
        here /= "ab"[level % 2]
        here.mkdir()
    (here / "1.png").touch()
    (image,) = Walk([str(tmp_path)])
    assert image.path == str(here / "1.png")
    assert image.slide.count("/") == depth - 1


# Laziness


def test_the_first_image_comes_before_the_whole_tree_is_listed() -> None:
    touch("A/s1/1.png", "A/s2/1.png")
    walk = iter(Walk(["A"]))
    assert next(walk).path == "A/s1/1.png"
    touch("A/s2/2.png")
    assert [image.path for image in walk] == ["A/s2/1.png", "A/s2/2.png"]


def test_a_walk_lists_no_more_folders_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*(f"A/s{number:03}/1.png" for number in range(200)))
    listed: list[bytes] = []
    listing = os.scandir

    def scandir(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        listed.append(path)
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    walk = iter(Walk(["A"]))
    next(walk)
    assert listed == [b"A", b"A/s000"]
    assert len(list(walk)) == 199
    assert len(listed) == 201


def test_a_list_is_drawn_only_as_far_as_needed() -> None:
    touch(*(f"A/{number}.png" for number in range(10)))
    drawn: list[int] = []

    def listed() -> Iterator[str]:
        for number in range(10):
            drawn.append(number)
            yield f"A/{number}.png"

    walk = iter(Walk([], listed=listed()))
    next(walk)
    assert drawn == [0]


def test_counts_follow_the_walk() -> None:
    touch("A/s1/1.png", "A/s2/2.png", "A/s2/notes.txt")
    walk = Walk(["A"])
    images = iter(walk)
    next(images)
    assert (walk.images, walk.skipped, walk.finished) == (1, 0, False)
    next(images)
    assert (walk.images, walk.skipped, walk.finished) == (2, 1, False)
    assert next(images, None) is None
    assert walk.finished


# Any tree

NAMES = st.builds(
    lambda start, rest, suffix: start + rest + suffix,
    st.sampled_from([b"a", b"B", b"0", b"\xff", b"-", b"\n", b"\xc3\xa9"]),
    st.binary(max_size=2).filter(lambda name: not set(name) & set(b"/\0")),
    st.sampled_from([b"", b".png", b".JPG", b".txt"]),
)
TREES: st.SearchStrategy[Tree] = st.dictionaries(
    NAMES,
    st.recursive(st.none(), lambda below: st.dictionaries(NAMES, below, max_size=4), max_leaves=10),
    max_size=5,
)


def make(folder: bytes, tree: Tree) -> Iterator[tuple[bytes, ...]]:
    """Make a tree of folders and files; give the parts of the path of each image."""
    for name, below in tree.items():
        path = os.path.join(folder, name)  # noqa: PTH118 - a path of bytes
        if below is None:
            Path(os.fsdecode(path)).touch()
            if name.endswith((b".png", b".JPG")):
                yield (name,)
        else:
            Path(os.fsdecode(path)).mkdir()
            yield from ((name, *parts) for parts in make(path, below))


@settings(max_examples=80)
@given(TREES)
def test_every_image_of_any_tree_comes_once_and_in_the_order_of_name_bytes(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as folder:
        expected = sorted(make(os.fsencode(folder), tree))
        images = list(Walk([folder]))
        walked = [os.fsencode(image.path.removeprefix(folder + "/")) for image in images]
        assert walked == [b"/".join(parts) for parts in expected]
        own = os.fsencode(Path(folder).name)
        folders = [b"/".join(parts[:-1]) or own for parts in expected]
        assert [os.fsencode(image.slide) for image in images] == folders


def test_a_link_does_not_make_the_walk_remember_every_plain_file() -> None:
    touch("other/linked.png", *(f"A/{number:03}.png" for number in range(50)))
    link("A/000-link.png", "other/linked.png")
    walk = Walk(["A"])

    assert len(list(walk)) == 51
    assert len(walk._once._files) == 1
