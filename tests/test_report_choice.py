"""Which slides and cells are shown: the right ones, none twice, and with flat memory."""

import tracemalloc
from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st
from test_report import failed_row, image_row, summary_of

from malscan.report.choice import Choice, choose, ranked
from malscan.report.row import Row

EACH = 3
PROBABILITIES = st.one_of(st.none(), st.integers(0, 20).map(lambda x: x / 20))


def rows_of(probabilities: Sequence[float | None], slide: str = "s") -> list[Row]:
    return [
        failed_row(f"{n}.png", slide) if p is None else image_row(f"{n}.png", slide, p)
        for n, p in enumerate(probabilities)
    ]


def chosen(rows: list[Row], threshold: float = 0.5, each: int = EACH) -> Choice:
    return choose(rows, ["s"], threshold, each)["s"]


def names(rows: tuple[Row, ...]) -> list[str]:
    return [row.path for row in rows]


def test_the_surest_come_highest_first_and_only_from_the_threshold_on() -> None:
    found = chosen(rows_of([0.2, 0.9, 0.5, 0.7, 0.99, 0.49]))
    assert names(found.surest) == ["4.png", "1.png", "3.png"]
    assert names(chosen(rows_of([0.2, 0.5, 0.49])).surest) == ["1.png"]


def test_the_doubtful_come_nearest_to_the_threshold_first() -> None:
    found = chosen(rows_of([0.1, 0.45, 0.65, 0.2, 0.99, 0.98, 0.97, 0.0]), threshold=0.5)
    assert names(found.doubtful) == ["1.png", "2.png", "3.png"]


def test_a_cell_above_the_threshold_is_surest_before_it_is_doubtful() -> None:
    found = chosen(rows_of([0.5, 0.51, 0.1]))
    assert names(found.surest) == ["1.png", "0.png"]
    assert names(found.doubtful) == ["2.png"]


def test_failed_images_come_in_the_order_of_the_scan() -> None:
    found = chosen(rows_of([None, 0.4, None, None, None]))
    assert names(found.failed) == ["0.png", "2.png", "3.png"]


def test_of_equal_cells_the_first_are_taken() -> None:
    found = chosen(rows_of([0.9] * 8 + [0.4] * 8))
    assert names(found.surest) == ["0.png", "1.png", "2.png"]
    assert names(found.doubtful) == ["8.png", "9.png", "10.png"]


@given(st.lists(PROBABILITIES, max_size=30), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_one_pass_finds_what_sorting_everything_finds(
    probabilities: list[float | None], threshold: float
) -> None:
    rows = rows_of(probabilities)
    found = chosen(rows, threshold)

    scored = [(row.probability, row) for row in rows if row.probability is not None]
    above = [(p, row) for p, row in scored if p >= threshold]
    surest = [row for p, row in sorted(above, key=lambda one: -one[0])][:EACH]
    others = [(p, row) for p, row in scored if row not in surest]
    doubtful = [row for p, row in sorted(others, key=lambda one: abs(one[0] - threshold))][:EACH]
    assert list(found.surest) == surest
    assert list(found.doubtful) == doubtful
    assert list(found.failed) == [row for row in rows if row.error][:EACH]


def test_rows_of_a_slide_need_not_follow_each_other_and_others_are_passed_over() -> None:
    mixed = [
        row
        for pair in zip(rows_of([0.9, 0.8]), rows_of([0.7, 0.6], "t"), strict=True)
        for row in pair
    ]
    found = choose(mixed, ["s", "absent"], 0.5)
    assert names(found["s"].surest) == ["0.png", "1.png"]
    assert found["absent"] == Choice((), (), ())
    assert set(found) == {"s", "absent"}


def test_memory_does_not_grow_with_the_number_of_rows() -> None:
    def stream(count: int) -> Iterator[Row]:
        for n in range(count):
            yield Row(f"{n}.png", "s", "ok", "uninfected", n / count, None)

    def peak(count: int) -> int:
        tracemalloc.start()
        choose(stream(count), ["s"], 0.5)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(100)
    assert peak(20_000) < 1.5 * peak(1000)


def test_slides_come_by_the_lower_end_of_their_interval() -> None:
    rows = [
        *rows_of([0.1] * 8, "healthy"),
        *rows_of([0.9], "one of one"),
        *rows_of([0.9] * 30 + [0.1] * 30, "half of sixty"),
        *rows_of([None], "unreadable"),
        *rows_of([0.1] * 8, "healthy, too"),
    ]
    order = [slide.slide for slide in ranked(summary_of(rows).slides)]
    assert order == ["half of sixty", "one of one", "healthy", "healthy, too", "unreadable"]
