"""Weights that do not fit their network are refused, whoever asks for the network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from malscan.errors import MalscanError
from malscan.model import EMBEDDED, Model, load_model
from malscan.predictor import Predictor, rebuild

MODEL = load_model(EMBEDDED)
BIAS = MODEL.weights["stem/bias"]


def with_bias(bias: np.ndarray) -> Model:
    return replace(MODEL, weights={**MODEL.weights, "stem/bias": bias})


WRONG = {
    "missing": (
        replace(MODEL, weights={k: v for k, v in MODEL.weights.items() if k != "stem/bias"}),
        "do not fit the network 'compact'",
    ),
    "one too many": (
        replace(MODEL, weights={**MODEL.weights, "more/bias": BIAS}),
        "do not fit the network 'compact'",
    ),
    "shape": (with_bias(BIAS[1:]), "do not fit the network 'compact'"),
    "kind": (with_bias(BIAS.astype(np.float64)), "do not fit the network 'compact'"),
    "no number": (with_bias(BIAS * np.float32("nan")), "stem/bias are not finite"),
    "infinite": (with_bias(BIAS + np.float32("inf")), "stem/bias are not finite"),
    "network": (replace(MODEL, network="huge"), "unknown network 'huge'"),
    "size": (replace(MODEL, size=32), "compact takes 64 pixels, not 32"),
}


@pytest.mark.parametrize("use", [Predictor, rebuild])
@pytest.mark.parametrize("name", WRONG)
def test_a_model_that_is_not_as_its_network_is_refused(
    name: str, use: Callable[[Model], object]
) -> None:
    model, message = WRONG[name]
    with pytest.raises(MalscanError, match=message):
        use(model)
