"""JSON: model, settings, summary, slides and images in one document."""

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from malscan.atomic import AtomicFile
from malscan.errors import MalscanError
from malscan.report.document import dumps, head_object, image_object, slide_object
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.row import Row
from malscan.report.summary import Summary


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
                self._spool.write(f"{self._between}    {dumps(image_object(row))}")
                self._between = ",\n"
        except OSError as error:
            raise self._cannot_spool(error) from None

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Put the document together."""
        slides = ",\n".join(f"    {dumps(slide_object(slide))}" for slide in summary.slides)
        text = dumps(head_object(model, scan, summary), indent=2).removesuffix("\n}")
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
