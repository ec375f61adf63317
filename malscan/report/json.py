"""JSON: model, settings, summary, slides and images in one document."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from malscan import __version__
from malscan.atomic import AtomicFile
from malscan.errors import MalscanError
from malscan.parasitaemia import Estimate
from malscan.prediction import DECIMALS
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.row import Row
from malscan.report.summary import SlideSummary, Summary

SCHEMA = "malscan.scan/1"


class JsonReport:
    """`REPORT.json`; images are spooled to disk, since the summary before them comes last."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises `MalscanError` if it cannot be written."""
        self._file = AtomicFile(path)
        # Closed by `finish` or `discard`; without a name it is gone even if we are killed.
        try:
            self._spool = tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent)  # noqa: SIM115
        except OSError as error:
            self._file.discard()
            raise self._cannot_spool(error) from None
        self._between = ""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows of consecutive images."""
        try:
            for row in rows:
                self._spool.write(f"{self._between}    {_dumps(_image(row))}")
                self._between = ",\n"
        except OSError as error:
            raise self._cannot_spool(error) from None

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Put the document together."""
        head = {
            "schema": SCHEMA,
            "malscan": __version__,
            "model": asdict(model),
            "settings": asdict(scan),
            "summary": {**_figures(summary.total), "not_corrected": summary.not_corrected},
        }
        slides = ",\n".join(f"    {_dumps(_slide(slide))}" for slide in summary.slides)
        text = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
        self._file.write(f'{text},\n  "slides": [\n{slides}\n  ],\n  "images": [\n')
        try:
            self._spool.seek(0)
            shutil.copyfileobj(self._spool, self._file)
        except OSError as error:
            raise self._cannot_spool(error) from None
        self._file.write("\n  ]\n}\n")
        self._file.close()
        self._spool.close()

    def publish(self) -> None:
        """Put the report in its place."""
        self._file.publish()

    def discard(self) -> None:
        """Leave nothing of an unfinished report."""
        with contextlib.suppress(OSError):
            self._spool.close()
        self._file.discard()

    def _cannot_spool(self, error: OSError) -> MalscanError:
        return MalscanError(
            f"cannot write {self._file.path}: {error.strerror}. Check that the disk has space."
        )


def _image(row: Row) -> dict[str, Any]:
    image = asdict(row)
    if row.path_bytes is None:
        del image["path_bytes"]
    return image


def _slide(slide: SlideSummary) -> dict[str, Any]:
    return {"slide": slide.slide} | _figures(slide)


def _figures(slide: SlideSummary) -> dict[str, Any]:
    counts = asdict(slide)
    del counts["slide"], counts["apparent"], counts["corrected"]
    return counts | _estimate("apparent", slide.apparent) | _estimate("corrected", slide.corrected)


def _estimate(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    names = (f"{name}_parasitaemia", f"{name}_low", f"{name}_high")
    if estimate is None:
        return dict.fromkeys(names)
    values = (estimate.value, estimate.low, estimate.high)
    return {key: round(value, DECIMALS) for key, value in zip(names, values, strict=True)}


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
