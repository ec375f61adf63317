"""A report as JSON has it: model, settings, summary, slides and images, as plain objects."""

import json
from dataclasses import asdict, fields
from typing import Any

from malscan import __version__
from malscan.parasitaemia import Estimate
from malscan.prediction import DECIMALS
from malscan.report.interface import ModelFacts, ScanFacts
from malscan.report.row import Row
from malscan.report.summary import SlideSummary, Summary

SCHEMA = "malscan.scan/1"

_KEYS = tuple(field.name for field in fields(Row))


def head_object(model: ModelFacts, scan: ScanFacts, summary: Summary) -> dict[str, Any]:
    """What a report says beside slides and images."""
    return {
        "schema": SCHEMA,
        "malscan": __version__,
        "model": asdict(model),
        "settings": asdict(scan),
        "summary": {**_figures(summary.total), "not_corrected": summary.not_corrected},
    }


def slide_object(slide: SlideSummary) -> dict[str, Any]:
    """What a report says of a slide."""
    return {"slide": slide.slide} | _figures(slide)


def image_object(row: Row) -> dict[str, Any]:
    """What a report says of an image."""
    # Not `asdict`, whose deep copies take longer than all the rest of a report.
    image = {key: getattr(row, key) for key in _KEYS}
    if row.path_bytes is None:
        del image["path_bytes"]
    return image


def dumps(value: dict[str, Any], indent: int | None = None) -> str:
    """JSON of an object; names stay readable."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _figures(slide: SlideSummary) -> dict[str, Any]:
    figures = asdict(slide)
    for name in ("slide", "apparent", "corrected", "reliable"):
        del figures[name]
    estimates = _estimate("apparent", slide.apparent) | _estimate("corrected", slide.corrected)
    return figures | estimates | {"reliable": slide.reliable}


def _estimate(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    names = (f"{name}_parasitaemia", f"{name}_low", f"{name}_high")
    if estimate is None:
        return dict.fromkeys(names)
    values = (estimate.value, estimate.low, estimate.high)
    return {key: round(value, DECIMALS) for key, value in zip(names, values, strict=True)}
