"""Images a model has seen, and copies among images."""

from hypothesis import given
from hypothesis import strategies as st

from malscan.seen import SeenImages, find_copies

ROWS = [(2**64 - 1, "train", "C10"), (0, "validation", ""), (7, "train", "C2"), (7, "train", "")]


class TestSeenImages:
    def test_rows_come_back_as_they_went_in(self) -> None:
        assert SeenImages.of(ROWS).rows() == ROWS

    def test_they_are_stored_in_few_bytes(self) -> None:
        seen = SeenImages.of(iter(ROWS))
        arrays = (seen.hashes, seen.parts, seen.patients)
        assert [array.dtype.name for array in arrays] == ["uint64", "uint8", "uint32"]
        assert seen.names == ["", "C10", "C2"]

    def test_there_may_be_none(self) -> None:
        seen = SeenImages.of([])
        assert (seen.rows(), seen.hashes.dtype.name) == ([], "uint64")

    def test_those_of_another_model_get_its_name_before_their_patients(self) -> None:
        both = SeenImages.of(ROWS[:1]).with_those_of("first", SeenImages.of(ROWS[1:3]))
        assert both.rows() == [ROWS[0], (0, "validation", "first/"), (7, "train", "first/C2")]

    def test_what_both_have_seen_in_the_same_part_counts_once(self) -> None:
        one, other = [(7, "train", "C2")], [(7, "train", "C9"), (7, "validation", "C9")]
        both = SeenImages.of(one).with_those_of("first", SeenImages.of(other))
        assert both.rows() == [(7, "train", "C2"), (7, "validation", "first/C9")]


class TestCopies:
    def test_images_with_pixels_of_their_own_are_no_copies(self) -> None:
        found = find_copies([1, 2, 3], [True, False, True], [0, 1, 2])
        assert (found.contradictions, found.across, found.within) == ([], [], 0)

    def test_the_same_pixels_with_both_labels_are_a_contradiction(self) -> None:
        found = find_copies([5, 1, 5, 5], [True, True, False, True], [0, 0, 0, 0])
        assert found.contradictions == [[0, 2, 3]]
        assert found.across == []

    def test_a_copy_in_a_lower_part_is_one_too_many(self) -> None:
        found = find_copies([5, 5, 5, 6, 6, 7], [True] * 6, [0, 2, 0, 1, 0, 0])
        assert found.across == [0, 2, 4]
        assert found.contradictions == []

    def test_repetitions_within_a_part_and_class_are_counted(self) -> None:
        found = find_copies([5, 5, 5, 5, 5], [True, True, True, False, True], [0, 0, 0, 0, 1])
        assert found.within == 2

    @given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 2)), max_size=30))
    def test_what_is_left_has_no_pixels_in_two_parts_and_loses_no_pixels(
        self, drawn: list[tuple[int, bool, int]]
    ) -> None:
        hashes, positive, ranks = ([row[i] for row in drawn] for i in range(3))
        found = find_copies(hashes, positive, ranks)  # type: ignore[arg-type]
        kept = [row for i, row in enumerate(drawn) if i not in found.across]
        assert {row[0] for row in kept} == set(hashes)
        assert all(len({r for h, _, r in kept if h == digest}) == 1 for digest in set(hashes))
        contradicted = {hashes[group[0]] for group in found.contradictions}
        for digest in set(hashes):
            labels = {label for h, label, _ in drawn if h == digest}
            assert (digest in contradicted) == (len(labels) == 2)
