"""Keras files of trained networks: other programs get the same probabilities."""

from pathlib import Path

import keras
import numpy as np
import pytest

from malscan.errors import MalscanError
from malscan.networks import NETWORKS
from malscan.training.keras_file import write_h5
from malscan.training.recipe import PRESETS


@pytest.mark.parametrize(("name", "preset"), [("compact", "default"), ("baseline", "notebook")])
def test_keras_opens_it_and_gives_the_same_probabilities(
    name: str, preset: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    network = NETWORKS[name].build(folded=True)
    path = tmp_path / "new folder" / "m.h5"

    write_h5(path, network, PRESETS[preset].recipe)
    opened = keras.models.load_model(path)

    size = NETWORKS[name].preprocessing.size
    pixels = rng.random([3, size, size, 3], dtype=np.float32)
    np.testing.assert_allclose(opened(pixels), network(pixels), atol=1e-6)
    assert opened.count_params() == network.count_params()
    assert type(opened.optimizer).__name__.lower() == str(PRESETS[preset].recipe.optimizer)
    assert [entry.name for entry in path.parent.iterdir()] == ["m.h5"]


def test_a_file_that_cannot_be_written_is_told_and_nothing_half_stays(tmp_path: Path) -> None:
    (tmp_path / "m.h5").mkdir()
    network = NETWORKS["compact"].build(folded=True)

    with pytest.raises(MalscanError, match=r"cannot write .*m\.h5.*The training is kept"):
        write_h5(tmp_path / "m.h5", network, PRESETS["default"].recipe)

    assert [entry.name for entry in tmp_path.iterdir()] == ["m.h5"]
