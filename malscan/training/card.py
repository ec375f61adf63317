"""The model card, filled from the metadata of a model."""

from typing import Any

from malscan.metrics import label
from malscan.templating import render_text

PATIENTS_SHOWN = 40
"""Patients listed in a card, so that one of a large study stays readable."""


def model_card(metadata: dict[str, Any]) -> str:
    """A model card in Markdown, in the sections of Mitchell et al. 2019.

    Args:
        metadata: content of `model.json`.
    """
    return render_text("MODEL_CARD.md.j2", **metadata, shown=PATIENTS_SHOWN, label=label)
