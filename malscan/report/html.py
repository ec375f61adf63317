"""HTML: one page to look at, which opens without a network."""

from collections.abc import Sequence
from pathlib import Path

from malscan.atomic import AtomicFile
from malscan.report.choice import SLIDES_SHOWN, choose, ranked
from malscan.report.histogram import Histogram
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.page import Page, scan_page
from malscan.report.row import Row
from malscan.report.spool import RowSpool
from malscan.report.summary import Summary
from malscan.templating import inlined, render_page


class HtmlReport:
    """`REPORT.html`; at most 10 MB, whatever the size of the scan."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises `MalscanError` if it cannot be written."""
        self._file = AtomicFile(path)
        try:
            self._spool = RowSpool(path)
        except BaseException:
            self._file.discard()
            raise
        self._histogram = Histogram()

    def write(self, rows: Sequence[Row]) -> None:
        """Take rows of consecutive images."""
        self._spool.write(rows)
        self._histogram.add(rows)

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Choose the cells to show, read them again, and write the page."""
        first = [] if self._spool.empty else ranked(summary.slides)[:SLIDES_SHOWN]
        choices = choose(self._spool, (slide.slide for slide in first), scan.threshold)
        page = scan_page(model, scan, summary, self._histogram.counts, choices)
        self._file.write(_html(page))
        self._file.close()
        self._spool.close()

    def publish(self) -> None:
        """Put the page in its place."""
        self._file.publish()

    def discard(self) -> None:
        """Leave nothing of an unfinished page."""
        self._spool.close()
        self._file.discard()


def _html(page: Page) -> str:
    style, style_source = inlined("scan.css")
    script, script_source = inlined("scan.js")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src {style_source}; script-src {script_source}"
    )
    return render_page("scan.html.j2", page=page, policy=policy, style=style, script=script)
