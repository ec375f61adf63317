"""Which slides are warned about as unlike the training cells: fresh patients, and drawn variants.

    python benchmarks/unlike.py DATA [--test]

DATA is a folder with the class folders of the NIH/NLM archive. The patients that are not in
benchmarks/test-patients.txt are dealt into five parts; what cells usually look like is learnt from
four of them, as a training learns it, and slides of the fifth are judged, in turn. With --test it
is learnt from all of them, as by the embedded model, and the test patients are judged. A slide is
a patient, an official slide id, or some of a patient's cells; a variant is 20 cells of a patient,
changed or drawn anew by the code below, so that no picture of anything else is needed.
"""

import argparse
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFilter

from malscan.appearance import distance_from
from malscan.dataset import labelled_cells
from malscan.networks import COMPACT_PREPROCESSING
from malscan.pipeline import full_batch
from malscan.preprocess import resize
from malscan.settings import DEFAULT_BATCH_SIZE, DataSettings
from malscan.training.cells import Cells, load_cells
from malscan.training.usual import usual_cells
from malscan.unlike import UsualCells

TEST_PATIENTS = Path(__file__).parent / "test-patients.txt"
FOLDS = 5
CELLS = 20
BLUISH = np.array([[0.62, 0.14, 0.12], [0.22, 0.66, 0.20], [0.10, 0.18, 0.62]])

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Change = Callable[[Pixels, np.random.Generator], Pixels]


def main() -> None:
    """Learn, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--test", action="store_true", help="judge the test patients")
    args = parser.parse_args()
    lines = TEST_PATIENTS.read_text(encoding="utf-8").splitlines()
    tested = {name for line in lines if (name := line.partition("#")[0].strip())}
    images = labelled_cells(DataSettings(args.data)).cells
    cells = load_cells([one for one in images if one.patient], COMPACT_PREPROCESSING)
    patients = np.array(cells.patients)
    is_test = np.isin(patients, sorted(tested))
    judged: dict[str, list[Verdict]] = {}
    for learnt, kept in parts(patients, is_test, args.test):
        usual = usual_cells([chosen(cells, learnt)])
        for name, verdict in judge(usual, chosen(cells, kept)):
            judged.setdefault(name, []).append(verdict)
    print(f"{'slides':58} {'number':>6} {'warned':>7} {'share':>7} {'unlike':>7}")
    for name, verdicts in judged.items():
        warned = sum(verdict.warned for verdict in verdicts)
        mean = np.mean([verdict.unlike for verdict in verdicts])
        share = f"{100 * warned / len(verdicts):.1f} %"
        print(f"{name:58} {len(verdicts):6} {warned:7} {share:>7} {mean:7.3f}")


@dataclass(frozen=True)
class Verdict:
    """What a scan would say of one slide."""

    unlike: float
    warned: bool


def parts(
    patients: npt.NDArray[np.str_], is_test: npt.NDArray[np.bool_], final: bool
) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Cells to learn from and cells to judge, in turn."""
    if final:
        yield ~is_test, is_test
        return
    others = np.random.default_rng(0).permutation(np.unique(patients[~is_test]))
    for fold in range(FOLDS):
        kept = np.isin(patients, others[fold::FOLDS])
        yield ~is_test & ~kept, kept


def chosen(cells: Cells, inside: npt.NDArray[np.bool_]) -> Cells:
    """Some of the cells."""
    return cells.without(set(np.flatnonzero(~inside).tolist()))


def judge(usual: UsualCells, cells: Cells) -> Iterator[tuple[str, Verdict]]:
    """Judge slides of fresh patients, then variants of them, by name of the kind of slide."""
    order = np.arange(len(cells))
    pixels = np.concatenate(list(cells.store.batches(order, DEFAULT_BATCH_SIZE)))
    unlike = measure(usual, pixels)
    patients, positive = np.array(cells.patients), cells.positive
    slides = np.array([Path(image.path).name.partition("_IMG_")[0] for image in cells.images])
    rng = np.random.default_rng(1)
    groups = [("slide id", slides == name) for name in np.unique(slides)]
    for name in np.unique(patients):
        own = patients == name
        groups.append(("patient", own))
        groups.append(("patient, parasitized cells only", own & positive))
        groups.append(("patient, uninfected cells only", own & ~positive))
        for _ in range(10):
            few = np.zeros(len(cells), bool)
            few[rng.choice(np.flatnonzero(own), CELLS, replace=False)] = True
            groups.append((f"patient, {CELLS} cells, ten times", few))
    for kind in dict.fromkeys(kind for kind, _ in groups):
        for inside in (inside for name, inside in groups if name == kind and inside.any()):
            yield kind, verdict(usual, unlike[inside])
    for name in np.unique(patients):
        places = rng.permutation(np.flatnonzero(patients == name))[:CELLS]
        originals = [read(cells.images[place].path) for place in places]
        for kind, change in variants(rng).items():
            changed = np.stack([shrunk(change(one, rng)) for one in originals])
            yield kind, verdict(usual, measure(usual, changed))


def measure(usual: UsualCells, pixels: Pixels) -> Floats:
    """How unlike some resized crops are."""
    distance = distance_from(usual, COMPACT_PREPROCESSING.size)
    found = []
    for start in range(0, len(pixels), DEFAULT_BATCH_SIZE):
        batch = tf.constant(pixels[start : start + DEFAULT_BATCH_SIZE])
        count = batch.shape[0]
        found.append(distance(full_batch(batch, DEFAULT_BATCH_SIZE)).numpy()[:count])
    return usual.unlike(np.concatenate(found))


def verdict(usual: UsualCells, unlike: Floats) -> Verdict:
    """What a scan would say of a slide of these cells."""
    return Verdict(float(unlike.mean()), bool(unlike.mean() >= usual.limit(len(unlike))))


def read(path: str) -> Pixels:
    """The pixels of a crop."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def shrunk(pixels: Pixels) -> Pixels:
    """A crop as the network gets it."""
    small: Pixels = resize([tf.constant(pixels)], COMPACT_PREPROCESSING)[0].numpy()
    return small


def variants(rng: np.random.Generator) -> dict[str, Change]:
    """All ways to change a slide; what is drawn here is the same for all its cells."""
    stain = np.eye(3) + rng.normal(0, 0.2, (3, 3))
    return {
        "as it is": lambda cell, _: cell,
        "natural background in place of black": natural_background,
        "stain: bluish and weak": lambda cell, _: within(cell, cell @ BLUISH.T),
        "stain: channels mixed at random (0.2 about identity)": lambda cell, _: within(
            cell, cell @ stain.T
        ),
        "stain: none (grey)": lambda cell, _: as_rgb(Image.fromarray(cell).convert("L")),
        "30 % darker": lambda cell, _: within(cell, cell * 0.7),
        "20 % brighter": lambda cell, _: within(cell, cell * 1.2),
        "blur, Gaussian of 1 px": lambda cell, _: blurred(cell, 1),
        "blur, Gaussian of 2 px": lambda cell, _: blurred(cell, 2),
        "blur, Gaussian of 3 px": lambda cell, _: blurred(cell, 3),
        "blur of 2 px under a sharp mask": lambda cell, _: within(cell, filled_blur(cell, 2)),
        "noise, 5 of 255": lambda cell, rng: noisy(cell, 5, rng),
        "noise, 20 of 255": lambda cell, rng: noisy(cell, 20, rng),
        "JPEG of quality 30": lambda cell, _: jpeg(cell, 30),
        "half the pixels on a side": lambda cell, _: scaled(cell, 1 / 2),
        "a third of the pixels on a side": lambda cell, _: scaled(cell, 1 / 3),
        "twice the pixels on a side": lambda cell, _: scaled(cell, 2),
        "cats": lambda cell, rng: cat(rng),
        "patterns": lambda cell, rng: pattern(rng),
        "pages of print": lambda cell, rng: page(rng),
        "plain discs in the colour of the cell": plain_disc,
        "cells with a nucleus of lobes": with_nucleus,
        "half a cell": lambda cell, _: cell[:, : cell.shape[1] // 2],
        "two cells side by side": two_cells,
        "the middle of the cell in another order": shuffled_middle,
    }


def cut_out(cell: Pixels) -> npt.NDArray[np.bool_]:
    """Where the cell is, [height, width, 1]."""
    return cell.max(axis=2, keepdims=True) > 0


def within(cell: Pixels, values: npt.NDArray[Any]) -> Pixels:
    """Other colours in the place of the cell, the background left black."""
    return np.where(cut_out(cell), np.clip(values, 1, 255), 0).astype(np.uint8)


def natural_background(cell: Pixels, rng: np.random.Generator) -> Pixels:
    """The cell on bright plasma, with a little grain."""
    plasma = np.array([218, 208, 206]) + rng.normal(0, 3, 3) + rng.normal(0, 2, cell.shape)
    return np.where(cut_out(cell), cell, np.clip(plasma, 0, 255)).astype(np.uint8)


def blurred(cell: Pixels, radius: float) -> Pixels:
    """The whole crop out of focus, the edge of the mask, too."""
    return as_rgb(Image.fromarray(cell).filter(ImageFilter.GaussianBlur(radius)))


def filled_blur(cell: Pixels, radius: float) -> Pixels:
    """The cell out of focus, with its own colour around it."""
    inside = cut_out(cell)
    return blurred(np.where(inside, cell, cell[inside[..., 0]].mean(0)).astype(np.uint8), radius)


def noisy(cell: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Noise of a weak light on the cell."""
    return within(cell, cell + rng.normal(0, strength, cell.shape))


def jpeg(cell: Pixels, quality: int) -> Pixels:
    """The crop, lossily compressed."""
    file = io.BytesIO()
    Image.fromarray(cell).save(file, "JPEG", quality=quality)
    return as_rgb(Image.open(file))


def scaled(cell: Pixels, factor: float) -> Pixels:
    """The crop under another magnification."""
    image = Image.fromarray(cell)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return as_rgb(image.resize(size, Image.Resampling.BILINEAR))


def cat(rng: np.random.Generator, side: int = 130) -> Pixels:
    """The face of a cat before a wall."""
    colours = [tuple(int(value) for value in rng.integers(40, 220, 3)) for _ in range(2)]
    image = Image.new("RGB", (side, side), colours[0])
    draw = ImageDraw.Draw(image)
    (x, y), r = side / 2 + rng.normal(0, 5, 2), side * rng.uniform(0.28, 0.4)
    for way in (-1, 1):
        ear = [(x + way * a * r, y - b * r) for a, b in ((0.95, 0.3), (0.9, 1.3), (0.2, 0.85))]
        draw.polygon(ear, fill=colours[1])
    draw.ellipse([x - r, y - r, x + r, y + r], fill=colours[1])
    for way in (-1, 1):
        for size, colour in ((0.18, (230, 220, 120)), (0.07, (10, 10, 10))):
            eye = (x + way * 0.4 * r, y - 0.15 * r)
            draw.ellipse([*(v - size * r for v in eye), *(v + size * r for v in eye)], fill=colour)
        for slope in (-0.2, 0.0, 0.2):
            ends = [(x + way * 0.2 * r, y + 0.3 * r), (x + way * 1.1 * r, y + (0.3 + slope) * r)]
            draw.line(ends, fill=(240, 240, 240))
    grain = rng.normal(0, 3, (side, side, 3))
    return np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)


def pattern(rng: np.random.Generator, side: int = 130) -> Pixels:
    """Waves of all directions and colours."""
    y, x = np.mgrid[:side, :side] * 2 * np.pi / side
    waves = np.zeros([side, side, 3])
    for channel in range(3):
        for _ in range(4):
            along, across = rng.normal(0, 6, 2)
            phase = rng.uniform(0, 2 * np.pi)
            waves[..., channel] += rng.normal(0, 25) * np.sin(along * x + across * y + phase)
    return np.clip(waves + rng.uniform(60, 200, 3), 0, 255).astype(np.uint8)


def page(rng: np.random.Generator, side: int = 130) -> Pixels:
    """Dark letters on white."""
    image = Image.new("RGB", (side, side), (250, 250, 248))
    draw = ImageDraw.Draw(image)
    for y in range(4, side, 11):
        letters = "".join(chr(97 + letter) for letter in rng.integers(0, 26, 26))
        draw.text((3, y), letters, fill=(20, 20, 20))
    return as_rgb(image)


def plain_disc(cell: Pixels, rng: np.random.Generator) -> Pixels:
    """A round spot on black, without anything in it but grain."""
    side = cell.shape[0]
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = (np.hypot(x, y) < side / 2)[..., None]
    colour = cell[cut_out(cell)[..., 0]].mean(axis=0) + rng.normal(0, 2, (side, side, 3))
    return np.where(inside, np.clip(colour, 1, 255), 0).astype(np.uint8)


def with_nucleus(cell: Pixels, rng: np.random.Generator) -> Pixels:
    """As a white blood cell has: three dark purple lobes in the middle."""
    height, width = cell.shape[:2]
    y, x = np.mgrid[:height, :width]
    lobes = np.zeros([height, width])
    for _ in range(3):
        row, column = height * rng.normal(0.5, 0.12), width * rng.normal(0.5, 0.12)
        radius = width * rng.uniform(0.16, 0.24)
        lobes = np.maximum(lobes, np.clip((radius - np.hypot(y - row, x - column)) / 3, 0, 1))
    weight = 0.9 * lobes[..., None]
    return within(cell, cell * (1 - weight) + np.array([90, 40, 130]) * weight)


def two_cells(cell: Pixels, rng: np.random.Generator) -> Pixels:
    """The cell and its mirror image in one crop, as where neighbours were not parted."""
    mirrored = cell[:, ::-1]
    height, width = cell.shape[:2]
    both = np.zeros([height, 2 * width - width // 6, 3], np.uint8)
    both[:, :width] = cell
    both[:, -width:] = np.maximum(both[:, -width:], mirrored)
    return both


def shuffled_middle(cell: Pixels, rng: np.random.Generator) -> Pixels:
    """The four quarters of the middle change places."""
    height, width = cell.shape[:2]
    side = min(height, width) // 4
    corners = [(height // 2 - dy, width // 2 - dx) for dy in (0, side) for dx in (0, side)]
    changed = cell.copy()
    for (y, x), place in zip(corners, rng.permutation(4), strict=True):
        from_y, from_x = corners[place]
        changed[y : y + side, x : x + side] = cell[from_y : from_y + side, from_x : from_x + side]
    return changed


def as_rgb(image: Image.Image) -> Pixels:
    """The pixels of a picture."""
    return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    main()
