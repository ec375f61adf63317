"""The model card, filled from the metadata of a model."""

from typing import Any

import jinja2

from malscan.metrics import label

PATIENTS_SHOWN = 40
"""Patients listed in a card, so that one of a large study stays readable."""


def model_card(metadata: dict[str, Any]) -> str:
    """A model card in Markdown, in the sections of Mitchell et al. 2019.

    Args:
        metadata: content of `model.json`.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("malscan"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template("MODEL_CARD.md.j2").render(
        metadata, shown=PATIENTS_SHOWN, label=label
    )
