"""Patterns, depth, links and number choose among the images below a path."""

import os
from pathlib import Path

import pytest

from malscan.errors import UsageError
from malscan.selection import Selection
from malscan.walk import Walk


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def link(name: str, target: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).symlink_to(Path(target).absolute())


def found(selection: Selection, *paths: str, listed: tuple[str, ...] = ()) -> list[str]:
    return [image.path for image in Walk(paths, listed=listed, selection=selection)]


def below_a(selection: Selection) -> list[str]:
    return [path.removeprefix("A/") for path in found(selection, "A")]


TREE = ("A/1.png", "A/2.tif", "A/bad/3.png", "A/s1/4.png", "A/s1/bad/5.png", "A/s1/deep/s1/6.png")


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*.tif", "2"),
        ("2.tif", "2"),
        ("?.tif", "2"),
        ("[!1-4].png", "56"),
        ("bad", "35"),
        ("ba?", "35"),
        ("bad/", "35"),
        ("s1", "456"),
        ("/s1", "456"),
        ("./s1", "456"),
        ("/bad", "3"),
        ("s1/bad", "5"),
        ("s1/bad/", "5"),
        ("*/bad", "5"),
        ("**/bad", "35"),
        ("**/s1/*.png", "46"),
        ("s1/*", "456"),
        ("s1/*.png", "4"),
        ("s1/**/*.png", "456"),
        ("s1/**", "456"),
        ("**", "123456"),
        ("*", "123456"),
        ("*/*", "3456"),
        ("*.png", "13456"),
        ("2.tif/", ""),
        ("A", ""),
        ("A/s1", ""),
        ("b", ""),
        ("*.PNG", ""),
        ("bad/3", ""),
    ],
)
def test_a_pattern_excludes_what_it_includes_otherwise(pattern: str, matched: str) -> None:
    touch(*TREE)
    included = below_a(Selection(include=(pattern,)))
    excluded = below_a(Selection(exclude=(pattern,)))
    assert "".join(sorted(Path(path).stem for path in included)) == matched
    assert sorted(included + excluded) == sorted(name.removeprefix("A/") for name in TREE)


def test_several_patterns_add_up_and_exclusion_wins() -> None:
    touch(*TREE)
    both = Selection(include=("*.tif", "s1"), exclude=("bad", "6.*"))
    assert below_a(both) == ["2.tif", "s1/4.png"]


def test_an_excluded_folder_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*TREE)
    listed: list[bytes] = []
    listing = os.scandir

    def scandir(path: bytes) -> object:
        listed.append(path)
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    below_a(Selection(exclude=("bad", "s1/deep")))
    assert listed == [b"A", b"A/s1"]


def test_names_that_are_not_utf_8_and_letters_of_several_bytes_are_matched() -> None:
    names = [b"caf\xe9.png", "café.png".encode(), b"a\nb.png", b"[x].png"]
    Path("A").mkdir()
    for name in names:
        Path(os.fsdecode(b"A/" + name)).touch()

    def matched(pattern: str) -> set[bytes]:
        return {os.fsencode(path) for path in below_a(Selection(include=(pattern,)))}

    assert matched("caf?.png") == set(names[:2])
    assert matched(os.fsdecode(b"caf\xe9.*")) == {names[0]}
    assert matched("café.*") == {names[1]}
    assert matched("a?b.png") == {names[2]}
    assert matched("[[]x].png") == {names[3]}


def test_what_is_named_by_itself_is_matched_by_its_name_and_path_as_given() -> None:
    touch("A/s1/1.png", "A/s1/2.png", "B/3.png")
    listed = ("A/s1/1.png", "./A/s1/2.png", "B")
    assert found(Selection(exclude=("1.*",)), listed=listed) == ["./A/s1/2.png", "B/3.png"]
    assert found(Selection(exclude=("A/s1/2.png",)), listed=listed) == ["A/s1/1.png", "B/3.png"]
    assert found(Selection(include=("[12].png",)), *listed) == ["A/s1/1.png", "./A/s1/2.png"]
    # Folders that are named are entered, whatever they are called.
    assert found(Selection(exclude=("B", "s1", "A")), *listed) == [*listed[:2], "B/3.png"]
    absolute = str(Path("A/s1/1.png").absolute())
    assert found(Selection(include=(absolute,)), absolute, "B") == [absolute]


def test_only_the_images_directly_in_a_path_come_where_folders_are_not_entered() -> None:
    touch(*TREE, "B/s/7.png")
    link("A/linked", "B")
    flat = Selection(recursive=False)
    assert found(flat, "A", "A/s1", listed=("B/s",)) == [
        *("A/1.png", "A/2.tif", "A/s1/4.png", "B/s/7.png")
    ]
    walk = Walk(["A"], selection=flat)
    assert (len(list(walk)), walk.left_out) == (2, 3)
    assert walk.notes == ["left out 3 files and folders that were not asked for"]


def test_links_below_a_path_are_left_alone_where_they_are_not_followed() -> None:
    touch("A/1.png", "B/2.png", "3.png")
    link("A/linked", "B")
    link("A/linked.png", "3.png")
    link("A/gone.png", "nowhere")
    link("path", "A")
    link("single.png", "3.png")
    plain = Selection(follow_links=False)
    assert found(plain, "A") == ["A/1.png"]
    # A link that is named itself is no accident.
    assert found(plain, "path", "single.png") == ["path/1.png", "single.png"]
    assert len(found(Selection(), "A")) == 4


@pytest.mark.parametrize(
    "selection",
    [
        Selection(exclude=("real",)),
        Selection(exclude=("real/*.png",)),
        Selection(exclude=("x.png",)),
        Selection(include=("link.png",)),
        Selection(recursive=False),
    ],
)
def test_a_link_counts_where_its_target_is_left_out(selection: Selection) -> None:
    touch("A/real/x.png")
    link("A/link.png", "A/real/x.png")
    assert found(selection, "A") == ["A/link.png"]
    assert found(Selection(), "A") == ["A/real/x.png"]


def test_a_file_counts_once_though_patterns_treat_its_folder_otherwise() -> None:
    touch("A/s1/x.png", "A/s1/y.png")
    chosen = Selection(exclude=("s1/x.png",))
    assert found(chosen, "A", listed=("A/s1/x.png", "A/s1/y.png")) == ["A/s1/y.png", "A/s1/x.png"]


@pytest.mark.parametrize("limit", [1, 3, 5, 6, 7, 100])
def test_a_limit_takes_the_first_images_of_the_walk(limit: int) -> None:
    touch(*TREE)
    walk = Walk(["A"], listed=["A/1.png"], selection=Selection(limit=limit))
    images = [image.path for image in walk]
    assert images == found(Selection(), "A")[:limit]
    assert walk.finished
    assert any("--limit" in note for note in walk.notes) == (limit <= 6)


def test_a_limit_ends_the_walk_early(monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*(f"A/s{number}/1.png" for number in range(9)))
    listed: list[bytes] = []
    listing = os.scandir

    def scandir(path: bytes) -> object:
        listed.append(path)
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert len(found(Selection(limit=2), "A")) == 2
    assert listed == [b"A", b"A/s0", b"A/s1"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"include": ("",)}, "--include"),
        ({"exclude": ("a", "/")}, "--exclude"),
        ({"limit": 0}, "--limit 0"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Selection(**wrong)  # type: ignore[arg-type]
