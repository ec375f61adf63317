"""Draw synthetic red blood cells in the style of stained thin blood smear crops.

Every pixel is drawn from a random generator; nothing is copied from a real image. A crop holds
one cell on an exactly black background, as in the NIH malaria cell images, and the cell is either
uninfected or parasitized (one or two ring forms, or a compact trophozoite).

Run as a script it writes the example slides; the functions also make data for tests.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

TYPICAL_DIAMETER = 130
"""Typical diameter in px of a cell in the real crops."""

SMALLEST_DIAMETER = 16
"""Below this diameter in px a chromatin dot is less than a pixel wide."""

EXAMPLE_DIAMETER = 108
"""Typical diameter in px on the example slides, which are kept small on disk."""

EXAMPLE_SLIDES = {"slide-01": (6, 14), "slide-02": (0, 20), "slide-03": (11, 9)}
"""Parasitized and uninfected cells on each example slide."""

EXAMPLE_SEED = 20

# Outlines are tabulated at this many equally spaced angles.
_ANGLES = 720

# The real masks were segmented on a small image and enlarged, so that their outlines are stepped;
# a cell was about this many steps wide.
_STEPS_ACROSS = 43

# Share of slides, cell colour, plasma colour (seen at the rim and through the pallor) and
# chromatin colour, all RGB, for stains and white balances common in thin smears.
_PALETTE: tuple[tuple[float, tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...] = (
    (0.33, (209, 155, 151), (232, 198, 172), (158, 14, 118)),
    (0.27, (199, 139, 145), (228, 180, 160), (150, 12, 116)),
    (0.23, (173, 166, 183), (202, 208, 204), (128, 38, 166)),
    (0.11, (152, 141, 177), (190, 196, 202), (112, 28, 156)),
    (0.06, (180, 110, 146), (226, 160, 166), (138, 10, 110)),
)


@dataclass(frozen=True)
class Stain:
    """Colours of one stained slide under one light; each an RGB float32 array of shape (3,), 0-255.

    Attributes:
        cell: Colour of haemoglobin in a normal cell.
        plasma: Paler colour showing at the cell's rim and through its central pallor.
        chromatin: Dark purple of parasite chromatin.
    """

    cell: FloatArray
    plasma: FloatArray
    chromatin: FloatArray


@dataclass(frozen=True)
class _Canvas:
    """Pixel geometry of one crop; all arrays are of shape (height, width).

    Attributes:
        x: Horizontal pixel position in cell radii from the cell's centre.
        y: Vertical pixel position in cell radii from the cell's centre.
        depth: Distance inside the outline in cell radii, negative outside.
        mask: True on the cell.
    """

    x: FloatArray
    y: FloatArray
    depth: FloatArray
    mask: BoolArray


@dataclass(frozen=True)
class _Spot:
    """Centre (in cell radii from the cell's centre) and radius (in cell radii) of a parasite."""

    x: float
    y: float
    radius: float


@dataclass
class _Layers:
    """What is painted over a clean cell; float32 weights of shape (height, width) in 0-1.

    Attributes:
        purple: How far each pixel is stained with the chromatin colour.
        clear: How far each pixel is cleared towards the plasma colour.
    """

    purple: FloatArray
    clear: FloatArray

    def stain(self, weight: FloatArray) -> None:
        """Add purple as a further coat, so that overlapping coats deepen but never exceed 1."""
        self.purple = 1 - (1 - self.purple) * (1 - weight)


def draw_stain(rng: np.random.Generator) -> Stain:
    """Draw the colours of one slide.

    Args:
        rng: Source of randomness.

    Returns:
        A stain near one of the common ones, its hue and brightness shifted at random.
    """
    shares = np.array([entry[0] for entry in _PALETTE])
    _, cell, plasma, chromatin = _PALETTE[int(rng.choice(len(_PALETTE), p=shares))]
    light = rng.normal(1.0, 0.025)
    tint = rng.normal(0.0, 3.5, 3)

    def shifted(colour: Sequence[int], own: float) -> FloatArray:
        drawn = (np.array(colour) + tint + rng.normal(0.0, own, 3)) * light
        return np.clip(drawn, 4, 246).astype(np.float32)

    return Stain(shifted(cell, 2.5), shifted(plasma, 4.0), shifted(chromatin, 6.0))


def draw_cell(
    rng: np.random.Generator,
    parasitized: bool,
    *,
    size: int | None = None,
    stain: Stain | None = None,
) -> Image.Image:
    """Draw the crop of one cell.

    Args:
        rng: Source of randomness; its state alone determines the crop.
        parasitized: Whether the cell holds a parasite.
        size: Approximate diameter of the cell in px, at least `SMALLEST_DIAMETER`; drawn around
            `TYPICAL_DIAMETER` when None.
        stain: Colours of the slide; drawn at random when None.

    Returns:
        An RGB image just large enough for the cell, exactly black outside it and nowhere black
        inside it.

    Raises:
        ValueError: If `size` is too small to show a parasite.
    """
    if size is None:
        size = _draw_diameter(rng, TYPICAL_DIAMETER)
    if size < SMALLEST_DIAMETER:
        raise ValueError(f"size must be at least {SMALLEST_DIAMETER} px, got {size}")
    if stain is None:
        stain = draw_stain(rng)
    canvas = _draw_canvas(rng, size)
    layers = _Layers(np.zeros_like(canvas.x), _draw_clearing(rng, canvas))
    _add_specks(rng, canvas, layers, parasitized)
    if parasitized:
        _add_parasites(rng, canvas, layers)
    return Image.fromarray(_paint(rng, canvas, layers, stain))


def draw_slides(
    dest: Path,
    slides: Mapping[str, tuple[int, int]],
    seed: int,
    *,
    size: int = EXAMPLE_DIAMETER,
) -> int:
    """Write crops of whole slides as `dest/SLIDE/cell_0001.png` and so on.

    The classes are mixed in an order, and each slide stained in colours, that depend only on the
    seed and the slide's place in `slides`; the same arguments write the same bytes.

    Args:
        dest: Folder to write to; made when missing.
        slides: Number of parasitized and of uninfected cells by slide name.
        seed: Seed, at least 0.
        size: Typical diameter of the cells in px.

    Returns:
        Number of images written.
    """
    written = 0
    for place, (name, (parasitized, uninfected)) in enumerate(slides.items()):
        rng = np.random.default_rng([seed, place])
        stain = draw_stain(rng)
        folder = dest / name
        folder.mkdir(parents=True, exist_ok=True)
        order = rng.permutation(np.arange(parasitized + uninfected) < parasitized)
        for number, infected in enumerate(order, start=1):
            cell = draw_cell(rng, bool(infected), size=_draw_diameter(rng, size), stain=stain)
            cell.save(folder / f"cell_{number:04d}.png")
        written += len(order)
    return written


def draw_labelled(
    dest: Path,
    patients: int,
    cells_per_class: int,
    seed: int,
    *,
    size: int = TYPICAL_DIAMETER,
) -> int:
    """Write labelled crops as `dest/Parasitized/*.png` and `dest/Uninfected/*.png`.

    Names follow the NIH set, `C7P12thinF_IMG_20150101_120600_cell_3.png`, where the C number is
    the patient. Every fourth patient has no parasite, gives uninfected cells only and has no P
    number. Each patient has a stain of their own, so cells of one patient resemble each other more
    than those of another. The same arguments write the same bytes.

    Args:
        dest: Folder to write to; made when missing.
        patients: Number of patients, at least 1.
        cells_per_class: Number of crops in each class over all patients, dealt evenly.
        seed: Seed, at least 0.
        size: Typical diameter of the cells in px; 40-60 draws thousands of cells fast.

    Returns:
        Number of images written.

    Raises:
        ValueError: If there is no patient.
    """
    if patients < 1:
        raise ValueError(f"patients must be at least 1, got {patients}")
    infected = [patient for patient in range(1, patients + 1) if patient % 4 != 0]
    parasitized = dict(zip(infected, _deal(cells_per_class, len(infected)), strict=True))
    uninfected = _deal(cells_per_class, patients)
    folders = {True: dest / "Parasitized", False: dest / "Uninfected"}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for patient in range(1, patients + 1):
        rng = np.random.default_rng([seed, patient])
        stain = draw_stain(rng)
        prefix = _patient_prefix(patient, patient in parasitized)
        sick = parasitized.get(patient, 0)
        for number in range(1, sick + uninfected[patient - 1] + 1):
            diameter = _draw_diameter(rng, size)
            cell = draw_cell(rng, number <= sick, size=diameter, stain=stain)
            cell.save(folders[number <= sick] / f"{prefix}_cell_{number}.png")
    return 2 * cells_per_class


def _deal(total: int, hands: int) -> list[int]:
    """Split `total` into `hands` counts that differ by at most one."""
    each, rest = divmod(total, hands)
    return [each + (hand < rest) for hand in range(hands)]


def _patient_prefix(patient: int, infected: bool) -> str:
    """Return the part of a crop's name shared by all crops of a patient."""
    taken = datetime(2015, 1, 1, 12) + timedelta(minutes=patient - 1)
    sample = f"P{patient + 5}" if infected else ""
    return f"C{patient}{sample}thinF_IMG_{taken:%Y%m%d_%H%M%S}"


def _draw_diameter(rng: np.random.Generator, typical: int) -> int:
    """Draw a diameter in px; its spread about `typical` is that of real cells."""
    factor = float(np.clip(np.exp(rng.normal(0.0, 0.12)), 0.75, 1.4))
    return max(SMALLEST_DIAMETER, round(typical * factor))


def _draw_outline(rng: np.random.Generator) -> FloatArray:
    """Draw a roundish outline: its radius at each of `_ANGLES` angles, shape (_ANGLES,)."""
    angle = np.linspace(0, 2 * np.pi, _ANGLES, endpoint=False)
    radius = np.ones(_ANGLES)
    for waves, spread in ((2, 0.05), (3, 0.02), (4, 0.013), (5, 0.008), (7, 0.004), (11, 0.003)):
        radius += rng.normal(0.0, spread) * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
    # Neighbours flatten a side of the cell, and drying pulls a blunt tip.
    for _ in range(rng.choice(3, p=(0.55, 0.3, 0.15))):
        facing = np.cos(angle - rng.uniform(0, 2 * np.pi))
        side = rng.uniform(0.8, 0.95) / np.maximum(facing, 0.1)
        radius = np.minimum(radius, side)
    if rng.random() < 0.2:
        tip = np.exp((np.cos(angle - rng.uniform(0, 2 * np.pi)) - 1) / rng.uniform(0.02, 0.08))
        radius += rng.uniform(0.05, 0.15) * tip
    return radius.astype(np.float32)


def _draw_canvas(rng: np.random.Generator, size: int) -> _Canvas:
    """Draw an outline and lay the tightest pixel grid around it, `size` px to two radii."""
    outline = _draw_outline(rng)
    angle = np.linspace(0, 2 * np.pi, _ANGLES, endpoint=False)
    axes = []
    for direction in (np.cos(angle), np.sin(angle)):
        low, high = float((outline * direction).min()), float((outline * direction).max())
        pixels = max(1, round((high - low) * size / 2))
        axes.append((low + (np.arange(pixels) + 0.5) * (high - low) / pixels).astype(np.float32))
    x, y = np.meshgrid(*axes)
    turn = np.arctan2(y, x) * np.float32(_ANGLES / (2 * np.pi))
    # A negative index wraps round, which is what an angle below zero needs.
    depth = outline[turn.astype(np.int32)] - np.hypot(x, y)
    mask = _step_mask(rng, depth, max(1, round(size / _STEPS_ACROSS)))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    crop = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _Canvas(x[crop], y[crop], depth[crop], mask[crop])


def _step_mask(rng: np.random.Generator, depth: FloatArray, step: int) -> BoolArray:
    """Cut the cell out in squares of `step` px, a little unevenly as a segmentation would."""
    coarse = depth[step // 2 :: step, step // 2 :: step]
    uneven = rng.normal(0.0, 0.008, coarse.shape)
    enlarged = (coarse > uneven).repeat(step, axis=0).repeat(step, axis=1)
    height, width = depth.shape
    short = ((0, max(0, height - len(enlarged))), (0, max(0, width - enlarged.shape[1])))
    return np.pad(enlarged, short)[:height, :width]


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], coarse: int) -> FloatArray:
    """Draw noise of standard deviation near 1 whose grains are about 1/`coarse` of the crop."""
    grains = rng.standard_normal((coarse, coarse), dtype=np.float32)
    enlarged = Image.fromarray(grains).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(enlarged)


def _draw_clearing(rng: np.random.Generator, canvas: _Canvas) -> FloatArray:
    """Draw how far the plasma colour shows: pallor, pale rim and mottling, about 0-1."""
    clear = 0.035 * _smooth_noise(rng, canvas.x.shape, 7)
    if rng.random() < 0.55:
        x, y = rng.normal(0.0, 0.12, 2)
        spread = rng.uniform(0.2, 0.5)
        height = rng.uniform(0.08, 0.6) if rng.random() < 0.5 else rng.uniform(0.05, 0.2)
        distance = (canvas.x - x) ** 2 + (canvas.y - y) ** 2
        clear += height * np.exp(-distance / np.float32(2 * spread**2))
    # The segmentation is seldom centred, so the rim shows more plasma on one side.
    toward = rng.uniform(0, 2 * np.pi)
    slope = np.float32(np.cos(toward)) * canvas.x + np.float32(np.sin(toward)) * canvas.y
    side = rng.uniform(0.2, 0.75) + rng.uniform(0.0, 0.5) * slope
    width = np.float32(rng.uniform(0.025, 0.06))
    clear += np.maximum(side, 0) * np.exp(-np.maximum(canvas.depth, 0) / width)
    return clear.astype(np.float32)


def _soft_inside(distance: FloatArray, blur: float) -> FloatArray:
    """Turn a signed distance (negative inside) into a weight, 1 to 0 over `blur` cell radii."""
    ramp: FloatArray = np.clip(0.5 - distance / np.float32(blur), 0, 1)
    weight: FloatArray = ramp * ramp * (3 - 2 * ramp)
    return weight


def _polar_about(
    rng: np.random.Generator, canvas: _Canvas, spot: _Spot, uneven: float
) -> tuple[FloatArray, FloatArray]:
    """Return distance and angle about a spot, bent so that circles come out irregular.

    Args:
        rng: Source of randomness.
        canvas: The crop.
        spot: Where the circles are centred.
        uneven: How irregular; 0 leaves circles circles.

    Returns:
        Distance in cell radii and angle in radians, both of shape (height, width).
    """
    u, v = canvas.x - np.float32(spot.x), canvas.y - np.float32(spot.y)
    angle = np.arctan2(v, u)
    bend = 1.0 + np.zeros_like(u)
    for waves in (2, 3):
        phase = np.float32(rng.uniform(0, 2 * np.pi))
        bend += np.float32(rng.normal(0.0, uneven / waves)) * np.cos(waves * angle + phase)
    return np.hypot(u, v) * bend, angle


def _add_blob(
    rng: np.random.Generator, canvas: _Canvas, layers: _Layers, spot: _Spot, purple: float
) -> None:
    """Stain one irregular solid spot."""
    distance, _ = _polar_about(rng, canvas, spot, 0.25)
    blur = max(0.06, 1.1 * spot.radius)
    layers.stain(np.float32(purple) * _soft_inside(distance - np.float32(spot.radius), blur))


def _add_specks(
    rng: np.random.Generator, canvas: _Canvas, layers: _Layers, parasitized: bool
) -> None:
    """Scatter faint stain deposits, seen on both classes and far paler than chromatin."""
    if rng.random() > (0.4 if parasitized else 0.3):
        return
    deepest = 0.2 if parasitized else 0.12
    for _ in range(rng.integers(1, 7)):
        x, y = rng.uniform(-0.7, 0.7, 2)
        speck = _Spot(x, y, rng.uniform(0.03, 0.06))
        _add_blob(rng, canvas, layers, speck, rng.uniform(0.05, deepest))


def _add_ring_form(rng: np.random.Generator, canvas: _Canvas, layers: _Layers, spot: _Spot) -> None:
    """Draw a ring form: a thin ring of cytoplasm round a vacuole, with a chromatin dot or two."""
    distance, angle = _polar_about(rng, canvas, spot, 0.3)
    dot_at = rng.uniform(-np.pi, np.pi)
    thickness = rng.uniform(0.05, 0.1)
    # The cytoplasm is often a crescent, thickest opposite or beside the chromatin.
    crescent = 1 + rng.uniform(0.2, 0.9) * np.cos(angle - np.float32(rng.uniform(-np.pi, np.pi)))
    from_ring = np.abs(distance - np.float32(spot.radius)) - np.float32(thickness / 2) * crescent
    purple = rng.uniform(0.22, 0.5)
    cytoplasm = purple * _soft_inside(from_ring, 0.13) * np.minimum(crescent, 1)
    layers.stain(cytoplasm.astype(np.float32))
    vacuole = _soft_inside(distance - np.float32(spot.radius), 0.16)
    layers.clear = layers.clear + np.float32(rng.uniform(0.0, 0.35)) * vacuole
    dots = [dot_at] if rng.random() < 0.8 else [dot_at, dot_at + rng.uniform(1.2, 3.5)]
    for at in dots:
        radius = rng.uniform(0.08, 0.125) / len(dots) ** 0.3
        dot = _Spot(spot.x + spot.radius * np.cos(at), spot.y + spot.radius * np.sin(at), radius)
        _add_blob(rng, canvas, layers, dot, rng.uniform(0.88, 1.0))


def _add_trophozoite(
    rng: np.random.Generator, canvas: _Canvas, layers: _Layers, spot: _Spot
) -> None:
    """Draw a compact trophozoite: dense uneven cytoplasm with lumps of chromatin inside."""
    distance, _ = _polar_about(rng, canvas, spot, 0.3)
    body = _soft_inside(distance - np.float32(spot.radius), 0.18)
    uneven = np.clip(1 + 0.35 * _smooth_noise(rng, canvas.x.shape, 14), 0.3, 1.4)
    layers.stain((rng.uniform(0.38, 0.6) * uneven * body).astype(np.float32))
    for _ in range(rng.integers(1, 4)):
        turn, reach = rng.uniform(0, 2 * np.pi), spot.radius * rng.uniform(0.1, 0.7)
        x, y = spot.x + reach * np.cos(turn), spot.y + reach * np.sin(turn)
        lump = _Spot(x, y, rng.uniform(0.07, 0.12))
        _add_blob(rng, canvas, layers, lump, rng.uniform(0.75, 1.0))


def _add_parasites(rng: np.random.Generator, canvas: _Canvas, layers: _Layers) -> None:
    """Draw one ring form, two small ones, or a trophozoite, wholly inside the cell."""
    turn = rng.uniform(0, 2 * np.pi)
    kind = rng.choice(3, p=(0.55, 0.27, 0.18))
    if kind == 2:
        # Opposite halves of the cell, so that the two rings stay apart.
        for half in (0.0, np.pi):
            at = turn + half + rng.uniform(-0.6, 0.6)
            spot = _place(at, rng.uniform(0.35, 0.6), rng.uniform(0.13, 0.19))
            _add_ring_form(rng, canvas, layers, spot)
        return
    add: Callable[[np.random.Generator, _Canvas, _Layers, _Spot], None]
    add, radius = (
        (_add_ring_form, rng.uniform(0.17, 0.3))
        if kind == 0
        else (_add_trophozoite, rng.uniform(0.17, 0.28))
    )
    add(rng, canvas, layers, _place(turn, 0.6 * np.sqrt(rng.random()), radius))


def _place(turn: float, reach: float, radius: float) -> _Spot:
    """Return a spot `reach` cell radii from the centre in the direction `turn` (radians)."""
    return _Spot(reach * np.cos(turn), reach * np.sin(turn), radius)


def _paint(
    rng: np.random.Generator, canvas: _Canvas, layers: _Layers, stain: Stain
) -> NDArray[np.uint8]:
    """Mix the colours, light them and cut the cell out.

    Args:
        rng: Source of randomness.
        canvas: The crop.
        layers: Weights of the plasma and chromatin colours.
        stain: The colours.

    Returns:
        RGB uint8 array of shape (height, width, 3).
    """
    clear, purple = layers.clear[..., None], layers.purple[..., None]
    # Cells of one slide differ a little in haemoglobin, hence in colour.
    cell = stain.cell + rng.normal(0.0, 1.4, 3).astype(np.float32)
    pixels = cell + clear * (stain.plasma - cell)
    pixels += purple * (stain.chromatin - pixels)
    tilt = rng.normal(0.0, 0.015, 2).astype(np.float32)
    band = (canvas.depth - np.float32(0.14)) / np.float32(0.1)
    light = 1 + tilt[0] * canvas.x + tilt[1] * canvas.y
    light -= np.float32(rng.uniform(0.0, 0.045)) * np.exp(-band * band)
    pixels *= light[..., None]
    height, width = canvas.x.shape
    # Grain of the camera: softened by demosaicking, hence coarser than a pixel.
    grain = _smooth_noise(rng, (height, width), max(height, width) // 2)
    pixels += np.float32(1.6) * grain[..., None]
    # Exact black is kept for the background, so the cell itself starts at 1.
    return np.where(canvas.mask[..., None], np.clip(pixels, 1, 255), 0).astype(np.uint8)


def _parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Draw the synthetic example slides.")
    parser.add_argument(
        "dest",
        nargs="?",
        type=Path,
        metavar="DEST",
        default=Path(__file__).resolve().parent / "slides",
        help="folder to write to (default: slides, beside this script)",
    )
    parser.add_argument("--seed", type=int, default=EXAMPLE_SEED, help="default: %(default)s")
    return parser.parse_args()


def main() -> None:
    """Write the example slides."""
    arguments = _parse_arguments()
    written = draw_slides(arguments.dest, EXAMPLE_SLIDES, arguments.seed)
    print(f"{written} images written to {arguments.dest}")


if __name__ == "__main__":
    main()
