"""Use malscan from Python: a scan with its reports, and probabilities without any file.

Used as `python examples/from_python.py examples/slides report.csv`.
"""

import argparse
from pathlib import Path

from malscan.errors import MalscanError
from malscan.model import find_model, open_model
from malscan.predictor import Predictor
from malscan.scan import ScanResult, scan
from malscan.settings import ScanSettings
from malscan.walk import Walk


def scanned(folder: Path, report: Path) -> ScanResult:
    """What `malscan scan FOLDER --out REPORT` does; the settings have the names of the options."""
    return scan(ScanSettings(paths=(str(folder),), outs=(str(report),), keep_going=True))


def surest(folder: Path, count: int) -> list[tuple[float, str]]:
    """The cells of a folder that are most surely parasitized, with their probabilities 0..1."""
    predictor = Predictor(open_model(find_model(None)))
    found = []
    for predictions in predictor.predict(Walk([str(folder)]), batch_size=256):
        for prediction in predictions:
            # An image that cannot be read has an error and no probability.
            if prediction.probability is not None:
                found.append((prediction.probability, prediction.image.path))
    return sorted(found, reverse=True)[:count]


def main() -> None:
    """Print the slides of a folder, and its surest cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of cell images")
    parser.add_argument("report", type=Path, help="report to write, such as report.csv")
    given = parser.parse_args()
    try:
        result = scanned(given.folder, given.report)
        for slide in result.summary.slides:
            share = "-" if slide.apparent is None else f"{slide.apparent.value:.1%}"
            print(f"{slide.slide}: {slide.above_threshold} of {slide.classified} cells, {share}")
        for probability, path in surest(given.folder, 3):
            print(f"{probability:.3f} {path}")
    except MalscanError as error:
        # What stops a run says what happened, to which file, and what to do next.
        parser.exit(error.exit_code, f"{error}\n")


if __name__ == "__main__":
    main()
