"""What the commands are asked to do, checked; light, so that a usage error is told at once."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from malscan.cluster.settings import ClusterSettings
from malscan.doubt import Band, check_band
from malscan.errors import UsageError
from malscan.kernel import Kernel
from malscan.near import did_you_mean, nearest, nearest_path
from malscan.report.names import STDOUT, check_montage, check_names
from malscan.selection import EVERY_IMAGE, Selection
from malscan.walk import check_paths

EMBEDDED_NAME = "embedded"
"""What stands for the embedded model where a model is named."""
DEFAULT_BATCH_SIZE = 256
LARGEST_BATCH = 8192
YEAR = 366 * 24 * 3600
MIN_CELLS = 2000
"""Cells that counting practice asks of a thin smear with few parasites (CDC, DPDx: 500, and 2,000
where fewer than 1 % are parasitized)."""
ANY_MODEL = "a folder made by `malscan train`, or a local .keras or .h5 file"


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Make sure that a number that was asked for makes sense.

    Raises:
        UsageError: it is not between `least` and `most`.
    """
    if not least <= value <= most:
        raise UsageError(f"{name} {value:g} is not between {least:g} and {most:g}")


class Precision(StrEnum):
    """Numbers that the network is computed in; weights are float32 all the same."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@dataclass(frozen=True, slots=True)
class Computing:
    """What to compute on, and in which numbers; changes results within rounding only.

    Attributes:
        precision: numbers that the network is computed in.
        device: `auto` (a GPU if there is one), `cpu`, `gpu` or `gpu:N`.

    Raises:
        UsageError: there cannot be such a device.
    """

    precision: Precision = Precision.AUTO
    device: str = "auto"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", self.device):
            raise UsageError(f"--device {self.device!r}: give auto, cpu, gpu or gpu:N.")

    @property
    def inference(self) -> Precision:
        """The numbers to classify in: what was asked for; `auto` is float32.

        In bfloat16 calls change for cells as far as 0.03 from the threshold, which is more than
        may happen unasked.
        """
        return Precision.FLOAT32 if self.precision is Precision.AUTO else self.precision


class ClassOrder(StrEnum):
    """What the outputs of a network mean, in their order."""

    PARASITIZED_FIRST = "parasitized,uninfected"
    UNINFECTED_FIRST = "uninfected,parasitized"


@dataclass(frozen=True, slots=True)
class KerasFileSettings:
    """What a network in a Keras file was trained with and the file does not say.

    None takes what the notebook did: pixels times 1/255, Pillow's nearest neighbour, and
    parasitized before uninfected.

    Attributes:
        rescale: factor from uint8 pixels to network input.
        kernel: how images are resized.
        class_order: the classes in the order of the outputs; a single output gives the
            probability of the second one.

    Raises:
        UsageError: the factor is out of its range.
    """

    rescale: float | None = None
    kernel: Kernel | None = None
    class_order: ClassOrder | None = None

    def __post_init__(self) -> None:
        if self.rescale is not None:
            check_range("--rescale", self.rescale, 1e-6, 1e6)


@dataclass(frozen=True, slots=True)
class NightlySettings:
    """How a scan that is run again and again goes about the runs before and beside it.

    Attributes:
        update: take over results of the last run of the same report for unchanged images.
        verify_content: compare images by their content, not by size and time of change.
        settle: leave images for the next run that were changed less than so many seconds ago.
        wait: seconds to wait for another run that writes the same report.
        stall_timeout: seconds without anything read after which the scan gives up; 0 is never.

    Raises:
        UsageError: a number is out of its range.
    """

    update: bool = False
    verify_content: bool = False
    settle: float = 0
    wait: float = 0
    stall_timeout: float = 300

    def __post_init__(self) -> None:
        check_range("--settle", self.settle, 0, YEAR)
        check_range("--wait", self.wait, 0, YEAR)
        check_range("--stall-timeout", self.stall_timeout, 0, YEAR)


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """What to scan, how, and where to.

    Attributes:
        paths: folders and files.
        outs: names of reports; the suffix picks the format, `-` is CSV to stdout.
        listed: further paths, one by one (`--files-from`).
        null: paths in lists end with a zero byte instead of a line end.
        selection: which of the images there are wanted.
        model: model folder, Keras file or `embedded`; None for `MALSCAN_MODEL`, else the
            embedded model.
        keras_file: what a Keras file does not say; for no other model.
        threshold: probability from which a cell is called parasitized; None for the model's.
        uncertain: the doubt band; None for the model's, equal bounds for none.
        min_cells: classified images that a slide needs to be reliable.
        summary_only: leave the images themselves out of the reports.
        failed_to: where a list of the failed images goes, if wanted.
        batch_size: images that are loaded and classified together.
        any_size: accept images with a side over 512 pixels.
        keep_going: images that cannot be read do not change the exit code.
        fail_on_failed: stop at the first image that cannot be read.
        allow_empty: finding no image gives an empty report instead of an error.
        montage: folder for contact sheets, one a slide; None for none.
        nightly: what to do about earlier runs and such that run now.
        computing: what to compute on; on a cluster, what its workers compute on.
        cluster: where to compute; None for here.

    Raises:
        UsageError: a path or the model does not exist, a report has an unknown suffix, a number
            is out of its range, or contact sheets would be in the way.
    """

    paths: tuple[str, ...]
    outs: tuple[str, ...]
    listed: Iterable[str] = ()
    null: bool = False
    selection: Selection = EVERY_IMAGE
    model: Path | None = None
    keras_file: KerasFileSettings = KerasFileSettings()
    threshold: float | None = None
    uncertain: Band | None = None
    min_cells: int = MIN_CELLS
    summary_only: bool = False
    failed_to: Path | None = None
    batch_size: int = DEFAULT_BATCH_SIZE
    any_size: bool = False
    keep_going: bool = False
    fail_on_failed: bool = False
    allow_empty: bool = False
    montage: Path | None = None
    nightly: NightlySettings = NightlySettings()
    computing: Computing = Computing()
    cluster: ClusterSettings | None = None

    def __post_init__(self) -> None:
        check_names(self.outs, self.failed_to)
        if self.nightly.update and STDOUT in self.outs:
            raise UsageError("--update needs a report file to go on from. Add --out report.csv")
        if self.summary_only and STDOUT in self.outs:
            raise UsageError("--out - has no summary: with --summary-only nothing would be left")
        check_paths(self.paths)
        if self.montage is not None:
            others = [] if self.failed_to is None else [str(self.failed_to)]
            check_montage(self.montage, [*self.outs, *others], self.paths)
        if self.model is not None:
            check_model_exists(self.model, ANY_MODEL)
        if self.threshold is not None:
            check_range("--threshold", self.threshold, 0, 1)
        if self.uncertain is not None:
            check_band("--uncertain", self.uncertain)
        check_range("--min-cells", self.min_cells, 0, 1e9)
        check_range("--batch-size", self.batch_size, 1, LARGEST_BATCH)


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Labelled cells, and how to read labels and patients off them.

    Attributes:
        data: folder with two class folders, or a table (`.csv`) with the columns `path` and
            `label`, and `patient` if it is known.
        positive: name of the class folder or label that means parasitized, where the names
            are not the usual ones; the other one then means uninfected.
        patient_maps: tables that say which patient an image is of, such as the two official
            ones of the NIH/NLM archive.
        patient_pattern: regular expression that finds the patient in the path below `data`;
            its first group, or the whole match.
        patient_folders: each patient has a folder of their own.
        any_size: accept images with a side over 512 pixels.

    Raises:
        UsageError: a path does not exist, a pattern is none, or patients are to be found in
            more than one way.
    """

    data: Path
    positive: str | None = None
    patient_maps: tuple[Path, ...] = ()
    patient_pattern: str | None = None
    patient_folders: bool = False
    any_size: bool = False

    def __post_init__(self) -> None:
        check_paths([str(self.data), *map(str, self.patient_maps)])
        ways = {
            "--patient-map": bool(self.patient_maps),
            "--patient-pattern": self.patient_pattern is not None,
            "--patient-folders": self.patient_folders,
        }
        given = [name for name, used in ways.items() if used]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other. Give one of them.")
        try:
            re.compile(self.patient_pattern or "")
        except re.error as error:
            raise UsageError(
                f"--patient-pattern {self.patient_pattern!r} is no regular expression: {error}"
            ) from None


def check_model_exists(model: Path, wanted: str = "a folder made by `malscan train`") -> None:
    """Make sure that there is something where a model is said to be.

    Args:
        model: where.
        wanted: what kind of model the message asks for.

    Raises:
        UsageError: there is nothing.
    """
    if not os.path.exists(model) and not is_embedded(model):
        meant = nearest(str(model), [EMBEDDED_NAME], 0.8) or nearest_path(str(model))
        named = str(model) == os.environ.get("MALSCAN_MODEL")
        origin = " (named by MALSCAN_MODEL)" if named else ""
        raise UsageError(f"no such model: {model}{origin}.{did_you_mean(meant)} Give {wanted}.")


def is_embedded(model: Path) -> bool:
    """Whether a name stands for the embedded model."""
    return str(model) == EMBEDDED_NAME and not os.path.exists(model)
