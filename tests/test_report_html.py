"""The HTML report: what stands in it, that it is safe, and that it never grows too large."""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_report import (
    MODEL,
    SETTINGS,
    failed_row,
    image_row,
    known_rates,
    some_rows,
    summary_of,
    write_report,
)

from malscan.parasitaemia import Estimate
from malscan.report import page_gallery
from malscan.report.formats import open_report
from malscan.report.histogram import BINS, Histogram, bars, ticks
from malscan.report.page import ROWS_SHOWN
from malscan.report.row import Row
from malscan.report.summary import SlideSummary, Summary
from malscan.report.thumbnail import MOST_BYTES

LARGEST = 10_000_000
DASH = "\N{EN DASH}"
SHARE = f"66.7 % (20.8{DASH}93.9)"
EVIL = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    '" onmouseover="alert(3)',
    "=cmd|' /C calc'!A0",
    "{{ 7 * 7 }}",
    "photo\u202egnp.exe",
    "new\nline",
)


class Page(HTMLParser):
    """What a browser makes of the page: elements with attributes, and their text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]

    def inside(self, tag: str) -> list[str]:
        return re.findall(rf"<{tag}>(.*?)</{tag}>", self.html, re.DOTALL)

    @property
    def rows(self) -> list[list[str]]:
        """Texts of the rows of the table of slides."""
        table = self.html[self.html.index('<table id="table">') :]
        body = re.findall(r"<tr data-filters.*?</tr>", table, re.DOTALL)
        cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in body]
        return [[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in cells]


def page_of(tmp_path: Path, rows: list[Row], rates: bool = False) -> Page:
    return Page(write_report(tmp_path / "r.html", rows, known_rates() if rates else None))


@pytest.fixture
def cells(tmp_path: Path, rng: np.random.Generator) -> list[str]:
    """Paths of five small pictures."""
    paths = [tmp_path / f"cell-{n}.png" for n in range(5)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, [20, 30, 3], np.uint8)).save(path)
    return [str(path) for path in paths]


def test_totals_estimates_and_slides_stand_in_it(tmp_path: Path) -> None:
    page = page_of(tmp_path, some_rows(), rates=True)

    assert "Slides 2 Images 5 Failed 2 Parasitized 2 Uncertain 0 Uninfected 1" in page.text
    assert f"Apparent parasitaemia {SHARE} Corrected parasitaemia" in page.text
    first, second = page.rows
    assert first[0] == "s1"
    assert first[1] == SHARE
    assert first[3:] == ["yes", "2", "0", "1", "1", "4", DASH]
    assert second == ["s2", DASH, DASH, "no", "0", "0", "0", "1", "1", DASH]


def test_model_settings_and_research_use_stand_in_it(tmp_path: Path) -> None:
    page = page_of(tmp_path, some_rows())

    assert f"Model sha256 {MODEL.sha256}" in page.text
    assert "Threshold 0.5 Cells that make a slide reliable 3 Batch size 4" in page.text
    assert "fewer than 3 classified cells is marked as not reliable" in page.text
    assert "called uncertain" not in page.text
    assert "about 0.5 for cells as the model was trained on" not in page.text
    assert page.text.count("Research use only") == 1
    assert "No corrected parasitaemia: the model was not tested" in page.text


def test_the_doubt_band_stands_in_it_and_is_shaded(tmp_path: Path) -> None:
    report = open_report(str(tmp_path / "r.html"))
    rows = some_rows()
    report.write(rows)
    report.finish(MODEL, replace(SETTINGS, uncertain=(0.25, 0.75)), summary_of(rows))
    report.publish()
    page = Page(tmp_path / "r.html")
    assert "Cells with a probability from 0.25 to below 0.75 are called uncertain." in page.text
    assert "Doubt band 0.25 to 0.75" in page.text
    shaded = next(rect for rect in page.all("rect") if rect.get("class") == "band")
    assert (shaded["x"], shaded["width"]) == ("25%", "50%")


def test_assumptions_about_the_model_stand_in_it(tmp_path: Path) -> None:
    report = open_report(str(tmp_path / "r.html"))
    assumed = ("pixels times 1/255", "<b>kernel</b>")
    model = type(MODEL)(name="lab", sha256="0" * 64, network="keras-file", assumed=assumed)
    report.finish(model, SETTINGS, summary_of([]))
    report.publish()
    assert "pixels times 1/255; <b>kernel</b>" in Page(tmp_path / "r.html").text


def test_cells_stand_under_their_slide_with_probability_call_and_name(
    tmp_path: Path, cells: list[str]
) -> None:
    rows = [
        image_row(cells[0], "s1", 0.91),
        image_row(cells[1], "s1", 0.97),
        image_row(cells[2], "s1", 0.12),
        failed_row(cells[3], "s1", "truncated: the file ends"),
    ]
    page = page_of(tmp_path, rows)

    order = [page.text.index(f"{p} {call} cell-{n}.png") for n, p, call in SHOWN]
    assert order == sorted(order)
    assert "cell-3.png truncated: the file ends" in page.text
    assert "Most surely parasitized 2 at or above the threshold" in page.text
    assert "Most doubtful 1 other, nearest the threshold first" in page.text
    assert "Could not be read 1 image" in page.text
    sources = [image["src"] or "" for image in page.all("img")]
    assert len(sources) == 4
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert {(image["width"], image["height"]) for image in page.all("img")} == {("30", "20")}


SHOWN = [
    ("1", "0.9700", "parasitized"),
    ("0", "0.9100", "parasitized"),
    ("2", "0.1200", "uninfected"),
]


def test_a_file_that_has_vanished_is_told_and_does_not_stop_the_report(tmp_path: Path) -> None:
    page = page_of(tmp_path, [image_row("gone.png", "s1", 0.9)])
    assert page.all("img") == []
    assert "no picture" in page.text
    assert "0.9000 parasitized gone.png no such file or directory" in page.text


def test_the_same_rows_give_the_same_bytes(tmp_path: Path, cells: list[str]) -> None:
    rows = [image_row(path, "s1", n / 5) for n, path in enumerate(cells)]
    written = [write_report(tmp_path / name, rows).read_bytes() for name in ("a.html", "b.html")]
    assert written[0] == written[1]


def test_a_scan_without_images_gives_a_page(tmp_path: Path) -> None:
    page = page_of(tmp_path, [])
    assert "Slides 0 Images 0" in page.text
    assert page.rows == []


def test_a_summary_alone_gives_a_table_and_says_that_there_are_no_cells(tmp_path: Path) -> None:
    report = open_report(str(tmp_path / "r.html"))
    report.finish(MODEL, SETTINGS, summary_of(some_rows()))
    report.publish()
    page = Page(tmp_path / "r.html")
    assert len(page.rows) == 2
    assert "No cells are shown, since the scan was asked for summaries only." in page.text
    assert "Probabilities" not in page.text


class TestSafety:
    def test_names_stay_text_wherever_they_stand(self, tmp_path: Path) -> None:
        rows = [image_row(f"x/{name}", name, 0.9) for name in EVIL]
        rows += [failed_row(f"y/{name}", name, name) for name in EVIL]
        plain = page_of(tmp_path, [image_row("x/a.png", "a", 0.9), failed_row("y/a.png", "a", "b")])
        evil = page_of(tmp_path, rows)

        assert {tag for tag, _ in evil.elements} == {tag for tag, _ in plain.elements}
        assert not [name for _, all_of in evil.elements for name in all_of if name[:2] == "on"]
        assert len(evil.all("script")) == 1
        for name in EVIL[:5]:
            assert name in evil.text
        assert "7 * 7" in evil.text
        assert r"photo\u202egnp.exe" in evil.text
        assert r"new\nline" in evil.text
        assert "\u202e" not in evil.html

    def test_only_its_own_script_and_style_may_run(self, tmp_path: Path) -> None:
        page = page_of(tmp_path, some_rows())
        policy = next(m["content"] or "" for m in page.all("meta") if "http-equiv" in m)
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["img-src"] == "data:"
        for tag in ("script", "style"):
            (text,) = page.inside(tag)
            digest = base64.b64encode(sha256(text.encode()).digest()).decode()
            assert rules[f"{tag}-src"] == f"'sha256-{digest}'"

    def test_nothing_leads_out_of_the_page(self, tmp_path: Path, cells: list[str]) -> None:
        page = page_of(tmp_path, [image_row(cells[0], "s1", 0.9)])
        for _, attributes in page.elements:
            for name in {"src", "href", "action", "data", "srcset"} & set(attributes):
                assert (attributes[name] or "").startswith(("#", "data:image/webp;base64,"))
        assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}


def slide(name: str, above: int = 1) -> SlideSummary:
    estimate = Estimate(above / 10, above / 20, min(1.0, above / 5))
    return SlideSummary(name, 10, 10, 0, above, 10 - above, 0, above, estimate, estimate, above > 5)


def summary(slides: list[SlideSummary]) -> Summary:
    return Summary(slides, slide("TOTAL"), None)


class TestSize:
    def test_200_000_rows_of_20_000_slides_stay_below_10_mb_and_the_page_says_what_is_left_out(
        self, tmp_path: Path, cells: list[str]
    ) -> None:
        slides = [f"ward-{n // 100}/slide-{n:05}" for n in range(20_000)]
        report = open_report(str(tmp_path / "r.html"))
        for name in slides:
            report.write([Row(cells[0], name, "ok", "parasitized", 0.9, None)] * 10)
        report.finish(
            MODEL, SETTINGS, summary([slide(name, n % 10) for n, name in enumerate(slides)])
        )
        report.publish()

        page = Page(tmp_path / "r.html")
        assert (tmp_path / "r.html").stat().st_size < LARGEST
        assert len(page.rows) == ROWS_SHOWN
        assert {row[4] for row in page.rows} == {"9"}
        assert "The table holds only the 1,000 of 20,000 slides" in page.text
        assert "of the 100 slides that come first in this order out of 20,000" in page.text
        assert len(page.all("img")) == 100 * 10

    def test_the_longest_names_and_the_largest_pictures_stay_below_10_mb(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: list[str]
    ) -> None:
        monkeypatch.setattr(page_gallery, "webp", lambda _: bytes(MOST_BYTES))
        name = tmp_path / ('"' * 250 + ".png")
        Path(cells[0]).rename(name)
        slides = [f"{'&' * 4000}{n:04}" for n in range(1500)]
        report = open_report(str(tmp_path / "r.html"))
        for s in slides:
            report.write(list(full_slide(str(name), s)))
        report.finish(MODEL, SETTINGS, summary([slide(s) for s in slides]))
        report.publish()

        page = Page(tmp_path / "r.html")
        size = (tmp_path / "r.html").stat().st_size
        galleries = sum(section.get("class") == "slide" for section in page.all("section"))
        assert 0.6 * LARGEST < size < LARGEST
        assert 20 < galleries < 100
        assert f"of the {galleries} slides that come first" in page.text
        assert (
            sum("href" in link and link["href"] != "#slides" for link in page.all("a")) == galleries
        )


def full_slide(path: str, name: str) -> Iterator[Row]:
    for n in range(24):
        yield Row(path, name, "ok", "parasitized", 0.5 + n / 100, None)
    for _ in range(12):
        yield Row("gone.png", name, "failed", None, None, '"' * 1000)


class TestHistogram:
    def test_every_probability_counts_once(self) -> None:
        histogram = Histogram()
        histogram.add([image_row("a", "s", n / 100) for n in range(101)])
        histogram.add([failed_row("b")])
        assert sum(histogram.counts) == 101
        assert histogram.counts == [5] * 19 + [6]

    def test_bars_grow_with_counts_and_stay_inside(self) -> None:
        drawn = bars([0, 1, 10, 1000] + [0] * (BINS - 4))
        heights = [float(bar.height) for bar in drawn]
        assert heights[0] == 0
        assert heights[:4] == sorted(heights[:4])
        assert heights[1] > 5
        assert heights[3] == 100
        assert all(float(bar.top) + float(bar.height) == pytest.approx(100) for bar in drawn)
        assert (drawn[3].span, drawn[3].count) == (f"0.15{DASH}0.20", "1,000")

    def test_lines_are_at_powers_of_ten_within_the_counts(self) -> None:
        assert [count for count, _ in ticks([1234])] == ["1", "10", "100", "1,000"]
        assert float(ticks([1000])[-1][1]) == 0
