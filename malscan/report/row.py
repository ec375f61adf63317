"""One row of a report: what it says of one image, and how names are written."""

import base64
import os
from dataclasses import dataclass

from malscan.doubt import Band
from malscan.prediction import Prediction

OK = "ok"
FAILED = "failed"

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Row:
    """What every report says of one image; the names are the columns of the CSV.

    Attributes:
        path: opens the image from where the command ran.
        slide: folder that the image is counted under.
        status: `ok` or `failed`.
        call: `parasitized`, `uninfected` or `uncertain`; None if failed.
        probability: of `parasitized`, 0..1; None if failed.
        error: why the image failed; None if ok.
        unlike: how unlike the cells of the training it is, 0..1; None if failed or not known.
        path_bytes: base64 of the path where it is not UTF-8; else None.
    """

    path: str
    slide: str
    status: str
    call: str | None
    probability: float | None
    error: str | None
    unlike: float | None = None
    path_bytes: str | None = None


def row_of(prediction: Prediction, threshold: float, uncertain: Band | None = None) -> Row:
    """The row of one prediction.

    Args:
        prediction: what the model says.
        threshold: probability from which a cell is called parasitized.
        uncertain: the doubt band, if there is one.
    """
    raw = os.fsencode(prediction.image.path)
    return Row(
        path=written(prediction.image.path),
        slide=written(prediction.image.slide),
        status=OK if prediction.error is None else FAILED,
        call=prediction.call(threshold, uncertain),
        probability=prediction.probability,
        error=prediction.error,
        unlike=prediction.unlike,
        path_bytes=None if _is_utf8(raw) else base64.b64encode(raw).decode("ascii"),
    )


def path_bytes_of(row: Row) -> bytes:
    """The path of a row as the bytes that open the image."""
    return row.path.encode() if row.path_bytes is None else base64.b64decode(row.path_bytes)


def written(name: str) -> str:
    r"""A path or slide as reports write it.

    Bytes that are not UTF-8 appear as `\xNN`. A name that a spreadsheet would take for a
    formula gets `./` before it, which leaves a relative path as it is.
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return f"./{text}" if text.startswith(_FORMULA_STARTS) else text


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
