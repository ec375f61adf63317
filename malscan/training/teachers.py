"""Models that teach a new one: their opinion of each training cell goes into its target.

What a label says and what several models agree on is worth more than the label alone where some
labels are wrong, and it tells a small network how sure to be (Hinton et al. 2015, Distilling the
Knowledge in a Neural Network).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from malscan.errors import MalscanError
from malscan.predictor import logits, rebuild
from malscan.preprocess import Preprocessing
from malscan.training.forerunner import Forerunner, load_forerunner
from malscan.training.parts import Parts


@dataclass(frozen=True, slots=True)
class Teacher(Forerunner):
    """A model that teaches.

    Attributes:
        network: the model, ready to compute.
    """

    network: keras.Model


def load_teachers(places: Sequence[Path], preprocessing: Preprocessing) -> list[Teacher]:
    """Load models to teach a network.

    Args:
        places: model folders, or `embedded`.
        preprocessing: of the network that is to learn.

    Raises:
        MalscanError: one of them is no model, or takes other input.
    """
    teachers = []
    for place in places:
        known = load_forerunner(place)
        model = known.model
        theirs = Preprocessing(model.size, preprocessing.kernel, model.rescale)
        if theirs != preprocessing or model.kernel != preprocessing.kernel:
            raise MalscanError(
                f"--teacher {place} takes cells of {model.size} pixels resized by {model.kernel}, "
                f"the network to train {preprocessing.size} by {preprocessing.kernel}: "
                "give one of the same network"
            )
        teachers.append(Teacher(model, known.seen, rebuild(model)))
    return teachers


def check_apart(teachers: Sequence[Teacher], parts: Parts) -> None:
    """Make sure that no teacher has seen a cell that the new model is judged by.

    Raises:
        MalscanError: one has, or does not say what it has seen.
    """
    for teacher in teachers:
        name = teacher.model.name
        if teacher.seen is None:
            raise MalscanError(
                f"--teacher {name} does not say which cells it was trained on, so nobody can know "
                "whether it has seen the test part. Train it with malscan."
            )
        for part, count in teacher.knows_too_much_of(parts):
            raise MalscanError(
                f"--teacher {name} has seen {count} cells of the {part} part. Train it on the "
                "same split (--split-file), or leave it out."
            )


def opinion(teachers: Sequence[Teacher], images: tf.Tensor) -> tf.Tensor:
    """What teachers make of cells, on average.

    Args:
        teachers: at least one.
        images: float32 [batch, size, size, 3], 0..1.

    Returns:
        float32 [batch, 2], calibrated probabilities in the order of `malscan.labels.CLASSES`.
    """
    found = [
        tf.sigmoid(logits(teacher.network(images, training=False)) / teacher.model.temperature)
        for teacher in teachers
    ]
    positive = tf.add_n(found) / len(found)
    return tf.stack([positive, 1 - positive], axis=1)
