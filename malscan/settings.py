"""What the commands are asked to do, checked; light, so that a usage error is told at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from malscan.errors import UsageError
from malscan.report.names import check_names
from malscan.walk import check_paths

DEFAULT_BATCH_SIZE = 256


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """What to scan, how, and where to.

    Attributes:
        paths: folders and files.
        outs: names of reports; the suffix picks the format, `-` is CSV to stdout.
        listed: further paths, one by one (`--files-from`).
        model: model folder; None for `MALSCAN_MODEL` or the embedded model.
        threshold: probability from which a cell is called parasitized; None for the model's.
        batch_size: images to a forward pass.
        any_size: accept images with a side over 512 pixels.
        keep_going: images that cannot be read do not change the exit code.
        fail_on_failed: stop at the first image that cannot be read.
        allow_empty: finding no image gives an empty report instead of an error.

    Raises:
        UsageError: a path or the model does not exist, a report has an unknown suffix, or a
            number is out of its range.
    """

    paths: tuple[str, ...]
    outs: tuple[str, ...]
    listed: Iterable[str] = ()
    model: Path | None = None
    threshold: float | None = None
    batch_size: int = DEFAULT_BATCH_SIZE
    any_size: bool = False
    keep_going: bool = False
    fail_on_failed: bool = False
    allow_empty: bool = False

    def __post_init__(self) -> None:
        check_names(self.outs)
        check_paths(self.paths)
        if self.model is not None and not self.model.exists():
            raise UsageError(f"no such model: {self.model}. Give a folder made by `malscan train`.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"--threshold {self.threshold:g} is not between 0 and 1")
        if self.batch_size < 1:
            raise UsageError(f"--batch-size {self.batch_size} is less than 1")
