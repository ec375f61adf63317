"""Pictures of a training: its curves, and what its cells look like."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from malscan.training.checkpoint import Epoch

# Okabe and Ito's colours, which people with any colour vision can tell apart.
_TRAIN, _VALIDATION = "#0072B2", "#D55E00"
SAMPLES = 6
"""Cells of each class in the picture of samples."""


def history_png(history: Sequence[Epoch], kept: int) -> bytes:
    """Loss above, accuracy below, of both parts over the epochs, as PNG.

    Args:
        history: one record an epoch.
        kept: the epoch whose weights are the model.
    """
    figure = Figure(figsize=(7, 6.5), layout="constrained")
    loss, accuracy = figure.subplots(2, sharex=True)
    epochs = [epoch.epoch for epoch in history]
    marker = "o" if len(epochs) <= 40 else ""
    style = {"marker": marker, "markersize": 4}
    loss.plot(epochs, [e.loss for e in history], color=_TRAIN, label="training", **style)
    loss.plot(
        epochs, [e.validation_loss for e in history], color=_VALIDATION, label="validation", **style
    )
    accuracy.plot(epochs, [100 * e.accuracy for e in history], color=_TRAIN, **style)
    accuracy.plot(
        epochs, [100 * e.validation_accuracy for e in history], color=_VALIDATION, **style
    )
    for axes in (loss, accuracy):
        axes.axvline(kept, color="0.5", linestyle=":", label=f"kept: epoch {kept}")
        axes.grid(color="0.9")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    loss.set_ylabel("loss (cross-entropy)")
    loss.legend()
    accuracy.set_ylabel("accuracy (% of cells)")
    accuracy.set_xlabel("epoch")
    return _png(figure)


def samples_png(pixels: dict[str, npt.NDArray[np.uint8]]) -> bytes:
    """A row of cells for each class, as the network gets them, as PNG.

    Args:
        pixels: uint8 [at most SAMPLES, size, size, 3] by name of the class.
    """
    figure = Figure(figsize=(1.3 * SAMPLES, 1.6 * len(pixels)), layout="constrained")
    rows = figure.subfigures(len(pixels), 1, squeeze=False)
    for row, (name, cells) in zip(rows[:, 0], pixels.items(), strict=True):
        row.suptitle(name, fontsize=10)
        for axes, cell in zip(row.subplots(1, SAMPLES), cells, strict=False):
            axes.imshow(cell)
        for axes in row.axes:
            axes.axis("off")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
