"""The HTML report as people use it, in a real browser: mouse, keyboard, colours, safety."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import NAMES, Tab, find_browser, running_browser
from draw_cells import draw_cell
from test_report import MODEL, SETTINGS, failed_row, known_rates
from test_report_html import EVIL

from malscan.prediction import Prediction
from malscan.report.formats import open_report
from malscan.report.row import Row, row_of, written
from malscan.report.shown import shown
from malscan.report.summary import Tally
from malscan.walk import CellImage

BAND = (0.25, 0.4)
ENOUGH = 4
READABLE = 4.5
"""Least contrast of text (WCAG 2.1, level AA)."""

COLUMNS = [
    *("Slide", "Apparent parasitaemia", "Corrected parasitaemia", "Reliable"),
    *("Parasitized", "Uncertain", "Uninfected", "Failed", "Images"),
]
NAMES_SHOWN = (
    "Array.from(document.querySelectorAll('#table tbody tr:not([hidden]) th'), e => e.innerText)"
)
HEADINGS = "Array.from(document.querySelectorAll('#table thead th'))"

# Colour and ground of all visible text, as WCAG compares them.
CONTRASTS = """(() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => {
    const s = c / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = channels(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const e of document.querySelectorAll('body *')) {
    const own = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.getClientRects().length || e.closest('script')) continue;
    const style = getComputedStyle(e);
    const ink = e instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [luminance(channels(ink)), luminance(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const name = `${e.tagName}.${e.className.baseVal ?? e.className}`;
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return JSON.stringify(found);
})()"""


def cell(path: str | Path, slide: str, probability: float) -> Row:
    return row_of(Prediction(CellImage(str(path), slide), probability, None), 0.5, BAND)


def rows_on_disk(folder: Path) -> list[Row]:
    """Rows of drawn cells on slides with all kinds of names."""
    rng = np.random.default_rng(5)
    rows = []
    probabilities = {"s1": 0.1, "s2": 0.6, "s10": 0.9}
    for number, name in enumerate([*probabilities, *EVIL]):
        file = name.replace("/", "|")
        for count in range(number + 1):
            path = folder / f"{count} {file}.png"
            draw_cell(rng, True, size=40).save(path)
            rows.append(cell(path, name, probabilities.get(name, 0.3)))
    latin = os.fsencode(folder) + b"/latin-\xe9.png"
    draw_cell(rng, True, size=40).save(os.fsdecode(latin), "PNG")
    rows.append(cell(os.fsdecode(latin), "s10", 0.95))
    return [*rows, failed_row("gone.png", "broken", "<b>truncated</b>")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    rows = rows_on_disk(folder)
    tally = Tally(0.5, ENOUGH)
    tally.add(rows)
    report = open_report(str(folder / "r.html"))
    report.write(rows)
    settings = replace(SETTINGS, uncertain=BAND, min_cells=ENOUGH)
    report.finish(MODEL, settings, tally.summary(known_rates()))
    report.publish()
    return folder / "r.html"


@pytest.fixture(scope="module")
def browser_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    executable = find_browser()
    if executable is None:
        pytest.skip(f"no browser here: install one of {', '.join(NAMES)}")
    with running_browser(executable, tmp_path_factory.mktemp("profile")) as browser:
        yield Tab(browser)


@pytest.fixture
def tab(browser_tab: Tab, page: Path) -> Iterator[Tab]:
    """The page, freshly opened; whatever a test does with it, nothing may be complained of."""
    browser_tab.resize(1280, 900)
    browser_tab.prefer("light")
    browser_tab.open(page)
    yield browser_tab
    assert browser_tab.complaints() == []
    assert [url for url in browser_tab.requests() if not url.startswith("data:")] == [page.as_uri()]
    assert browser_tab.run("document.title").startswith("Malaria scan: ")


def keys(tab: Tab, column: int) -> list[Any]:
    """What the visible rows of a column are sorted by."""
    if column == 0:
        return list(tab.run(NAMES_SHOWN))
    rows = f"document.querySelectorAll('#table tbody tr:not([hidden]) td:nth-child({column + 1})')"
    found = tab.run(f"Array.from({rows}, e => e.dataset.key)")
    return [float(key) if key else None for key in found]


def sorted_by(tab: Tab) -> dict[str, str]:
    """What the headings say of the order."""
    states = tab.run(f"{HEADINGS}.map(e => [e.innerText.trim(), e.getAttribute('aria-sort')])")
    return {name: state for name, state in states if state != "none"}


def click(tab: Tab, column: int) -> None:
    tab.run(f"{HEADINGS}[{column}].querySelector('button').click()")


@pytest.mark.parametrize("column", range(1, len(COLUMNS)), ids=COLUMNS[1:])
def test_numbers_are_sorted_largest_first_then_smallest_first_and_none_last(
    tab: Tab, column: int
) -> None:
    before = keys(tab, column)
    values = [value for value in before if value is not None]
    missing = [None] * (len(before) - len(values))

    click(tab, column)
    assert keys(tab, column) == sorted(values, reverse=True) + missing
    assert sorted_by(tab) == {COLUMNS[column]: "descending"}
    click(tab, column)
    assert keys(tab, column) == sorted(values) + missing
    assert sorted_by(tab) == {COLUMNS[column]: "ascending"}
    assert tab.run("document.querySelector('#table tfoot th').innerText") == "All slides"


def test_names_are_sorted_as_people_count(tab: Tab) -> None:
    click(tab, 0)
    assert [name for name in keys(tab, 0) if name in {"s1", "s2", "s10"}] == ["s1", "s2", "s10"]
    click(tab, 0)
    assert [name for name in keys(tab, 0) if name in {"s1", "s2", "s10"}] == ["s10", "s2", "s1"]
    click(tab, 4)
    assert sorted_by(tab) == {"Parasitized": "descending"}


@pytest.mark.parametrize("key", ["Enter", " "], ids=["enter", "space"])
def test_the_keyboard_sorts(tab: Tab, key: str) -> None:
    tab.run("document.getElementById('only').focus()")
    for _ in range(20):
        tab.press("Tab")
        if tab.run("document.activeElement.textContent") == "Images":
            break
    assert tab.run("document.activeElement.matches(':focus-visible')")
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    tab.press(key)

    assert sorted_by(tab) == {"Images": "descending"}
    assert keys(tab, 8) == sorted(keys(tab, 8), reverse=True)
    assert "sorted by Images, descending" in tab.run("document.getElementById('status').innerText")
    assert tab.run("document.activeElement.textContent") == "Images"


def test_a_part_of_the_name_narrows_table_and_cells_down(tab: Tab) -> None:
    everything = len(keys(tab, 0))
    tab.run("document.getElementById('name').focus()")
    tab.type("S1")

    assert sorted(keys(tab, 0)) == ["s1", "s10"]
    galleries = "document.querySelectorAll('section.slide:not([hidden]) h3')"
    assert sorted(tab.run(f"Array.from({galleries}, e => e.innerText)")) == ["s1", "s10"]
    status = tab.run("document.getElementById('status').innerText")
    assert status == f"2 of {everything} slides shown"
    tab.press("Enter")
    assert sorted(keys(tab, 0)) == ["s1", "s10"]
    tab.type("no such slide")
    assert keys(tab, 0) == []


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("slides with parasitized cells", {"s2", "s10"}),
        ("slides with uncertain cells", {shown(written(name)) for name in EVIL}),
        ("slides with failed images", {"broken"}),
        ("slides with too few cells to be reliable", {"s1", "s2", "broken"}),
    ],
)
def test_the_table_is_narrowed_down_to_slides_of_a_kind(
    tab: Tab, label: str, expected: set[str]
) -> None:
    tab.run(
        f"""(() => {{
          const only = document.getElementById('only');
          only.value = Array.from(only.options).find(o => o.text === '{label}').value;
          only.dispatchEvent(new Event('change'));
        }})()"""
    )
    assert set(keys(tab, 0)) == expected


def test_a_name_in_the_table_leads_to_its_cells_and_back(tab: Tab) -> None:
    top = "document.querySelector(decodeURIComponent(location.hash)).getBoundingClientRect().top"
    tab.run("Array.from(document.querySelectorAll('#table a')).find(a => a.text === 's1').click()")
    assert tab.run("document.querySelector(':target h3').innerText") == "s1"
    assert tab.run(f"{top} < innerHeight")
    tab.run("document.querySelector(':target a').click()")
    assert tab.run("location.hash") == "#slides"


def test_every_cell_that_is_there_has_its_picture(tab: Tab) -> None:
    sizes = tab.run("Array.from(document.images, image => image.naturalWidth)")
    assert len(sizes) == sum(range(1, 4 + len(EVIL))) + 1
    assert min(sizes) > 10


def test_odd_names_stay_text_and_nothing_of_them_runs(tab: Tab) -> None:
    assert {shown(written(name)) for name in EVIL} <= set(keys(tab, 0))
    text = tab.run("document.body.innerText")
    for name in EVIL:
        assert f"0 {shown(name).replace('/', '|')}.png" in text
    assert r"latin-\xe9.png" in text
    assert "<b>truncated</b>" in text
    assert tab.run("document.querySelectorAll('[onerror], [onmouseover], img[src=x]').length") == 0
    assert tab.run("document.scripts.length") == 1


def test_what_gets_in_all_the_same_must_not_run(browser_tab: Tab, page: Path) -> None:
    browser_tab.open(page)
    browser_tab.run(
        """document.body.insertAdjacentHTML('beforeend',
        '<img src="data:," onerror="document.title=1"><img src="https://example.org/a.png">')"""
    )
    browser_tab.run("new Promise(done => setTimeout(done, 200))")
    refused = " ".join(browser_tab.complaints())
    assert "script" in refused
    assert "img-src" in refused
    assert browser_tab.run("document.title") != "1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_until_the_button_is_used(tab: Tab, scheme: str) -> None:
    other = {"light": "dark", "dark": "light"}[scheme]
    ground = "getComputedStyle(document.body).backgroundColor"
    grounds = {}
    for preferred in (other, scheme):
        tab.prefer(preferred)
        grounds[preferred] = tab.run(ground)
    button = "document.getElementById('theme')"
    assert grounds["light"] != grounds["dark"]
    tab.until(f"{button}.innerText === '{other.capitalize()} colours'")

    tab.run(f"{button}.click()")
    assert tab.run(ground) == grounds[other]
    assert tab.run(f"{button}.innerText") == f"{scheme.capitalize()} colours"
    tab.run(f"{button}.click()")
    assert tab.run(ground) == grounds[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(tab: Tab, scheme: str) -> None:
    tab.prefer(scheme)
    tab.run("document.querySelector('details').open = true")
    contrasts = json.loads(tab.run(CONTRASTS))
    assert len(contrasts) > 15
    assert {name: ratio for name, ratio in contrasts.items() if ratio < READABLE} == {}


def test_a_screen_reader_finds_names_for_everything_to_act_on(tab: Tab) -> None:
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    found: dict[str, list[str]] = {}
    for node in nodes:
        role, name = (node.get(key, {}).get("value", "") for key in ("role", "name"))
        found.setdefault(role, []).append(name.strip())
    for role in ("button", "searchbox", "combobox", "table", "columnheader", "rowheader", "link"):
        assert found[role], role
        assert all(found[role]), role
    assert found["searchbox"] == ["Name contains"]
    assert found["combobox"] == ["Show"]
    assert {*COLUMNS, "Dark colours"} <= set(found["button"])
    assert "main" in found


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_the_page_fits_the_window(tab: Tab, width: int) -> None:
    tab.resize(width, 800)
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_on_paper_it_is_light_and_without_controls(tab: Tab) -> None:
    tab.prefer("dark")
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for name in ("theme", "controls"):
        assert tab.run(f"document.getElementById('{name}').getClientRects().length") == 0
    assert tab.run(f"{HEADINGS}.every(e => e.innerText && e.getClientRects().length)")
    tab.call("Emulation.setEmulatedMedia", media="")


def test_without_scripts_everything_but_the_controls_is_there(browser_tab: Tab, page: Path) -> None:
    browser_tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser_tab.open(page)
        assert "s10" in keys(browser_tab, 0)
        assert browser_tab.run("document.getElementById('controls').getClientRects().length") == 0
        assert browser_tab.run("document.querySelectorAll('#table button').length") == 0
    finally:
        browser_tab.call("Emulation.setScriptExecutionDisabled", value=False)
