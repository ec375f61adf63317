"""What every report format offers, and the facts that stand in it beside the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from malscan.doubt import Band
from malscan.report.row import Row
from malscan.report.summary import Summary


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a report says of the model that made it."""

    name: str
    sha256: str
    network: str
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """Settings that a report follows from.

    Attributes:
        threshold: probability from which a cell is called parasitized.
        uncertain: the doubt band, if there is one.
        min_cells: classified images that a slide needs to be reliable.
        batch_size: images that are loaded and classified together.
        precision: numbers that the network was computed in.
        any_size: whether images over 512 pixels on a side were accepted.
        summary_only: whether the images themselves were left out of the report.
    """

    threshold: float
    uncertain: Band | None
    min_cells: int
    batch_size: int
    precision: str
    any_size: bool
    summary_only: bool


class Report(Protocol):
    """One report being written; nothing is under its final name before `publish`."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows of consecutive images."""

    def finish(self, model: ModelFacts, scan: ScanFacts, summary: Summary) -> None:
        """Complete the report on disk, still beside its final place."""

    def publish(self) -> None:
        """Put the finished report in its place."""

    def discard(self) -> None:
        """Leave nothing of an unfinished report; harmless after `publish`."""
