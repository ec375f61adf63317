"""One page that gathers an evaluation and opens without a network."""

import base64
from typing import Any

from malscan.evaluation.result import INDEPENDENCE_TEXTS, EvaluationResult
from malscan.metrics import label
from malscan.report.row import written
from malscan.templating import render_page

CAPTIONS = {
    "roc": "ROC curve with the operating point",
    "precision_recall": "Precision and recall with the operating point",
    "reliability": "Reliability: how often cells of a probability are parasitized, and how many "
    "there are (logarithmic)",
    "confusion_matrix": "Confusion matrix",
    "patients": "Sensitivity of each patient, lowest first",
    "errors": "The surest errors, with probability; labels may be wrong as well",
}
LISTED = 200
"""Failed images listed in the page; the table of predictions has them all."""


def report_html(found: dict[str, Any], result: EvaluationResult, drawn: dict[str, bytes]) -> str:
    """The page.

    Args:
        found: content of `metrics.json`.
        result: the evaluation.
        drawn: pictures as PNG, by name.
    """
    return render_page(
        "evaluation.html.j2",
        **found,
        independence_text=INDEPENDENCE_TEXTS[result.independence],
        patients=[(written(one.patient), one) for one in result.patients],
        pictures=[
            (name, CAPTIONS[name], base64.b64encode(drawn[name]).decode("ascii"))
            for name in CAPTIONS
            if name in drawn
        ],
        listed=LISTED,
        label=label,
    )
