"""Which cells a model may be judged by."""

import pytest

from malscan.errors import ExitCode, MalscanError
from malscan.evaluation.result import Independence
from malscan.evaluation.selection import Selection, select
from malscan.labels import PARASITIZED, UNINFECTED
from malscan.prediction import Prediction
from malscan.seen import SeenImages
from malscan.walk import CellImage


def cell(
    path: str, patient: str | None, pixel_hash: int, *, label: str = PARASITIZED
) -> Prediction:
    image = CellImage(path, slide="s", label=label, patient=patient)
    return Prediction(image, 0.5, None, pixel_hash=pixel_hash)


def broken(path: str, patient: str | None) -> Prediction:
    return Prediction(CellImage(path, "s", label=PARASITIZED, patient=patient), None, "truncated")


def seen(*hashes: int, part: str = "train", patient: str = "C900") -> SeenImages:
    return SeenImages.of((digest, part, patient) for digest in hashes)


def chosen(
    cells: list[Prediction], *models: SeenImages | None, allow_seen: bool = False
) -> Selection:
    return select(cells, models, allow_seen=allow_seen)


def paths(predictions: list[Prediction]) -> list[str]:
    return [prediction.image.path for prediction in predictions]


CELLS = [
    cell("a", "C1", 11),
    cell("b", "C2", 21),
    cell("c", "C1", 12, label=UNINFECTED),
    cell("d", "C10", 2**64 - 1),
    cell("e", "C2", 22),
]


class TestSeenPatients:
    def test_a_patient_with_one_seen_image_is_set_aside_whole_and_the_others_are_kept(
        self,
    ) -> None:
        found = chosen(CELLS, seen(12))
        assert paths(found.set_aside) == ["a", "c"]
        assert paths(found.evaluated) == ["b", "d", "e"]
        assert (found.seen_patients, found.independence) == (["C1"], Independence.CHECKED)

    @pytest.mark.parametrize("part", ["train", "validation"])
    def test_it_does_not_matter_in_which_part_they_were(self, part: str) -> None:
        assert chosen(CELLS, seen(21, part=part)).seen_patients == ["C2"]

    def test_the_name_plays_no_part(self) -> None:
        """A laboratory's own C1 is another person than the C1 of the archive."""
        found = chosen(CELLS, seen(99, patient="C1"))
        assert (found.evaluated, found.set_aside, found.seen_patients) == (CELLS, [], [])
        assert found.independence is Independence.CHECKED

    def test_a_seen_image_under_another_name_gives_its_patient_away(self) -> None:
        found = chosen(CELLS, seen(21, patient="C77"))
        assert found.seen_patients == ["C2"]
        assert paths(found.set_aside) == ["b", "e"]

    def test_they_are_named_in_the_order_of_their_numbers(self) -> None:
        found = chosen([*CELLS, cell("f", "C3", 31)], seen(2**64 - 1, 11, 21))
        assert found.seen_patients == ["C1", "C2", "C10"]

    def test_of_unknown_patients_only_the_image_itself_is_set_aside(self) -> None:
        cells = [cell("x", None, 1), cell("y", None, 2), cell("z", "C1", 3)]
        found = chosen(cells, seen(1))
        assert (paths(found.set_aside), paths(found.evaluated)) == (["x"], ["y", "z"])
        assert found.seen_patients == ["x"]

    def test_what_either_of_two_models_has_seen_is_set_aside(self) -> None:
        found = chosen(CELLS, seen(11), seen(22))
        assert (found.seen_patients, paths(found.evaluated)) == (["C1", "C2"], ["d"])


class TestAllowSeen:
    def test_all_are_kept_and_marked(self) -> None:
        found = chosen(CELLS, seen(12), allow_seen=True)
        assert (found.evaluated, found.set_aside) == (CELLS, [])
        assert (found.seen_patients, found.independence) == (["C1"], Independence.SEEN)

    def test_nothing_is_marked_where_nothing_was_seen(self) -> None:
        found = chosen(CELLS, seen(99), allow_seen=True)
        assert found.independence is Independence.CHECKED

    def test_what_one_model_has_seen_outweighs_that_another_does_not_tell(self) -> None:
        found = chosen(CELLS, None, seen(12), allow_seen=True)
        assert found.independence is Independence.SEEN


class TestUnknown:
    def test_a_model_that_does_not_tell_leaves_all_and_a_doubt(self) -> None:
        found = chosen(CELLS, None)
        assert (found.evaluated, found.set_aside) == (CELLS, [])
        assert found.independence is Independence.UNKNOWN

    def test_one_of_two_that_does_not_tell_is_enough_for_a_doubt(self) -> None:
        found = chosen(CELLS, seen(12), None)
        assert found.independence is Independence.UNKNOWN
        assert paths(found.set_aside) == ["a", "c"]

    def test_a_model_that_has_seen_nothing_is_no_doubt(self) -> None:
        assert chosen(CELLS, SeenImages.of([])).independence is Independence.CHECKED


class TestNothingLeft:
    def text(self, cells: list[Prediction], *models: SeenImages) -> str:
        with pytest.raises(MalscanError) as caught:
            chosen(cells, *models)
        assert caught.value.exit_code == ExitCode.FAILED
        return str(caught.value)

    def test_the_message_explains_and_names_the_patients(self) -> None:
        text = self.text(CELLS, seen(11, 22, 2**64 - 1))
        assert "the model has seen images of every patient here (C1, C2, C10)" in text
        assert "nothing is left" in text
        assert "Give cells of other patients; --allow-seen evaluates all the same" in text

    def test_of_many_patients_it_names_five(self) -> None:
        cells = [cell(f"{i}.png", f"C{i}", i) for i in range(1, 13)]
        assert "(C1, C2, C3, C4, C5 and 7 more)" in self.text(cells, seen(*range(1, 13)))

    def test_unreadable_images_are_no_help(self) -> None:
        assert "has seen images of every" in self.text([CELLS[0], broken("w", "C5")], seen(11))

    def test_where_nothing_can_be_read_it_says_so(self) -> None:
        assert self.text([broken("v", "C1")], seen(1)) == (
            "no image could be read, so there is nothing to evaluate"
        )

    def test_allow_seen_evaluates_all_the_same(self) -> None:
        assert chosen(CELLS[:1], seen(11), allow_seen=True).evaluated == CELLS[:1]


class TestOthers:
    def test_unreadable_images_are_kept_apart_in_order(self) -> None:
        first, last = broken("v", "C1"), broken("w", None)
        found = chosen([first, *CELLS, last], seen(12))
        assert found.failed == [first, last]
        assert found.readable == CELLS

    def test_copies_are_found_among_the_readable_ones_set_aside_or_not(self) -> None:
        cells = [
            broken("v", "C1"),
            cell("a", "C1", 5),
            cell("b", "C2", 5, label=UNINFECTED),
            cell("c", "C3", 7),
            cell("d", "C3", 7),
            cell("e", "C4", 8),
        ]
        copies = chosen(cells, seen(7)).copies
        assert (copies.contradictions, copies.within) == ([[0, 1]], 1)
