"""Checkpoints: a network goes on from them exactly, or starts afresh and says why."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from malscan.errors import MalscanError
from malscan.trainable import FusedBatchNormalization
from malscan.training.checkpoint import Checkpoint, Epoch, Progress

X = np.random.default_rng(0).random([8, 6, 6, 3], dtype=np.float32)
Y = np.eye(2, dtype=np.float32)[np.arange(8) % 2]
EPOCH = Epoch(1, 0.1, 1 / 3, 1e-17, 0.5)


def compiled(seed: int, optimizer: str = "adamw") -> keras.Model:
    """A small network with all that has a state: batch norm, dropout, optimizer."""
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            FusedBatchNormalization(name="norm"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dropout(0.5, name="dropout"),
            keras.layers.Dense(2, activation="softmax", name="dense"),
        ],
        name="small",
    )
    network.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return network


def steps(network: keras.Model, number: int) -> None:
    network.fit(X, Y, batch_size=4, epochs=number, shuffle=False, verbose=0)


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
def test_a_restored_network_goes_on_as_if_it_had_never_stopped(
    optimizer: str, tmp_path: Path
) -> None:
    first = compiled(1, optimizer)
    steps(first, 2)
    best = [array * 2 for array in first.get_weights()]
    Checkpoint(tmp_path / "c", {"a": 1}).save(first, Progress([EPOCH], best))
    steps(first, 2)

    second = compiled(9, optimizer)
    checkpoint = Checkpoint(tmp_path / "c", {"a": 1})
    progress = checkpoint.restore(second)
    steps(second, 2)

    assert (progress.history, checkpoint.note) == ([EPOCH], None)
    for kept, given in zip(progress.kept, best, strict=True):
        np.testing.assert_array_equal(kept, given)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(second.optimizer.iterations) == 8


def test_without_a_file_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", {})
    assert checkpoint.restore(compiled(1)) == Progress([], [])
    assert checkpoint.note is None


def test_a_checkpoint_of_something_else_is_left_alone(tmp_path: Path) -> None:
    network = compiled(1)
    Checkpoint(tmp_path / "c", {"a": 1, "b": [2]}).save(network, Progress([EPOCH], []))
    same = Checkpoint(tmp_path / "c", {"b": [2], "a": 1})
    other = Checkpoint(tmp_path / "c", {"a": 2, "b": [2]})
    weights = network.get_weights()

    assert same.restore(network).history == [EPOCH]
    assert other.restore(network) == Progress([], [])
    assert other.note is not None
    assert "other data, settings or versions: starting afresh" in other.note
    for before, after in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "history"])
@pytest.mark.fault("a damaged checkpoint of a training (bytes flipped, blanked, cut off)")
def test_a_damaged_checkpoint_is_left_alone(damage: str, tmp_path: Path) -> None:
    file = tmp_path / "c"
    Checkpoint(file, {}).save(compiled(1), Progress([EPOCH], []))
    whole = file.read_bytes()
    broken = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "garbage": b"\xff" * len(whole),
        "history": whole.replace(b"validation_loss", b"validation_lost"),
    }
    assert broken[damage] != whole
    file.write_bytes(broken[damage])
    checkpoint = Checkpoint(file, {})

    assert checkpoint.restore(compiled(1)) == Progress([], [])
    assert checkpoint.note is not None
    assert "damaged: starting afresh" in checkpoint.note


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path: Path) -> None:
    file = tmp_path / "c"
    network = compiled(1)
    Checkpoint(file, {}).save(network, Progress([EPOCH], []))
    before = file.read_bytes()
    (tmp_path / ".c.partial").mkdir()

    with pytest.raises(MalscanError, match="cannot write"):
        Checkpoint(file, {}).save(network, Progress([EPOCH, EPOCH], []))

    assert file.read_bytes() == before


@pytest.mark.fault("a damaged checkpoint of a training (bytes flipped, blanked, cut off)")
def test_no_damage_to_a_checkpoint_trains_another_model(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    file = tmp_path / "c"
    network = compiled(1)
    Checkpoint(file, {}).save(network, Progress([EPOCH], network.get_weights()))
    whole = file.read_bytes()
    step = len(whole) // 100
    places = range(0, len(whole), step)
    before = network.get_weights()
    for place in places:
        flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        blank = whole[:place] + b" " * step + whole[place + step :]
        for spoilt in (flipped, blank, whole[:place]):
            file.write_bytes(spoilt)
            checkpoint = Checkpoint(file, {})
            assert checkpoint.restore(network) == Progress([], [])
            assert checkpoint.note is not None
    for kept, given in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(kept, given)
    record_property("tried", 3 * len(places))
