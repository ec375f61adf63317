"""Take the picture of a report for README: the page of the example slides in a real browser.

Used as `python .docs/picture.py`; needs Chromium.
"""

import os
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / ".docs" / "report.webp"
SIZE = (1000, 980)
"""Width and height in CSS pixels: the table of slides and the cells of the first one."""
SLIDES = "[...document.querySelectorAll('h2')].find((e) => e.innerText === 'Slides')"
sys.path.insert(0, str(ROOT / "tests"))

from browser import Tab, find_browser, running_browser  # noqa: E402

from malscan.scan import scan  # noqa: E402
from malscan.settings import ScanSettings  # noqa: E402


def main() -> None:
    """Scan the example slides and take the picture of their page."""
    executable = find_browser()
    if executable is None:
        sys.exit("no Chromium here: install one")
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder, "report.html"), Path(folder, "report.png")
        scan(ScanSettings(paths=("examples/slides",), outs=(str(page),)))
        with running_browser(executable, Path(folder, "profile")) as browser:
            tab = Tab(browser, *SIZE)
            tab.prefer("light")
            tab.open(page)
            tab.run(f"{SLIDES}.scrollIntoView()")
            tab.until("[...document.images].every((e) => e.complete)")
            tab.screenshot(shot)
        Image.open(shot).save(PICTURE, quality=80, method=6)


if __name__ == "__main__":
    main()
