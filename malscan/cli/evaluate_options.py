"""The options of `malscan evaluate` that no other command has."""

from pathlib import Path
from typing import Annotated

import typer

from malscan.cli import model_options
from malscan.evaluation.settings import GateOn

_MODEL = "Model"
_GATES = "Gates (exit 4 where one is missed)"


def _gate(name: str) -> typer.models.OptionInfo:
    return typer.Option(metavar="X", help=f"Least {name}, 0..1.", rich_help_panel=_GATES)


Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for figures, tables, pictures, report.html."),
]
AllowSeen = Annotated[
    bool,
    typer.Option(
        "--allow-seen",
        help="Keep patients that the model has seen; figures are too good.",
        rich_help_panel="Data",
        hidden=True,
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Model to judge: folder, .keras or .h5.",
        autocompletion=model_options.embedded_name,
        show_default="$MALSCAN_MODEL, else embedded",
        rich_help_panel=_MODEL,
    ),
]
Compare = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Second model for the same cells.",
        autocompletion=model_options.embedded_name,
        rich_help_panel=_MODEL,
    ),
]
Prevalence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of parasitized cells for PPV and NPV, 0..1.",
        rich_help_panel=_MODEL,
    ),
]
MinAccuracy = Annotated[float | None, _gate("accuracy")]
MinSensitivity = Annotated[float | None, _gate("sensitivity")]
MinSpecificity = Annotated[float | None, _gate("specificity")]
MinAuc = Annotated[float | None, _gate("ROC AUC")]
GateOnOption = Annotated[
    GateOn,
    typer.Option(
        metavar="END",
        help="point: figure; lower: end of its interval.",
        rich_help_panel=_GATES,
    ),
]
