"""Networks in Keras' own files: what they compute, and what is refused before Keras sees it."""

import errno
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from draw_cells import draw_cell
from keras import layers
from PIL import Image

from malscan import devices, foreign, keras_plan
from malscan.devices import computing_in
from malscan.errors import ExitCode, MalscanError, UsageError
from malscan.foreign import read_keras_file
from malscan.keras_network import build_network
from malscan.kernel import Kernel
from malscan.labels import CLASSES
from malscan.model import EMBEDDED, open_model
from malscan.networks import NETWORKS, Network
from malscan.predictor import Predictor, classifier
from malscan.preprocess import Preprocessing, resize
from malscan.settings import ClassOrder, KerasFileSettings, Precision
from malscan.walk import CellImage

SIDE = 32
NOTHING_STATED = KerasFileSettings()

KERAS_2 = """
import sys
import numpy as np
import tf_keras as keras
from tf_keras import layers

def notebook(side, widths, dense, outputs):
    network = keras.Sequential()
    network.add(layers.Conv2D(widths[0], 3, activation="relu", input_shape=(side, side, 3)))
    network.add(layers.MaxPooling2D(2))
    for width in widths[1:]:
        network.add(layers.Conv2D(width, 3, activation="relu"))
        network.add(layers.MaxPooling2D(2))
    network.add(layers.Flatten())
    network.add(layers.Dropout(0.5))
    network.add(layers.Dense(dense, activation="relu"))
    network.add(layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax"))
    network.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    return network

def branched():
    pixels = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")(pixels)
    y = layers.BatchNormalization(moving_mean_initializer="ones")(x)
    y = layers.LeakyReLU(0.2)(layers.DepthwiseConv2D(3, padding="same")(y))
    body = keras.Model(pixels, layers.Add()([x, y]))
    again = keras.Input((32, 32, 3))
    z = layers.GlobalAveragePooling2D()(body(again, training=False))
    return keras.Model(again, layers.Activation("softmax")(layers.Dense(2)(z)))

folder = sys.argv[1]
pixels = np.load(folder + "/pixels.npy")
if "full" in sys.argv:
    networks = {"full": notebook(125, (64, 64, 128, 128), 512, 2)}
else:
    networks = {"softmax": notebook(32, (4, 8), 8, 2), "sigmoid": notebook(32, (4, 8), 8, 1)}
    networks["branched"] = branched()
for name, network in networks.items():
    network.save(f"{folder}/{name}.h5")
    network.save(f"{folder}/{name}.keras")
    np.save(f"{folder}/{name}.npy", network(pixels, training=False).numpy())
network.save_weights(f"{folder}/weights.h5")
"""


def make_with_keras_2(folder: Path, *args: str) -> None:
    if importlib.util.find_spec("tf_keras") is None:
        pytest.skip("tf-keras is not installed")
    command = [sys.executable, "-c", KERAS_2, str(folder), *args]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="session")
def keras_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that Keras 2 has saved, and what it computes with them."""
    folder = tmp_path_factory.mktemp("keras2")
    np.save(folder / "pixels.npy", np.random.default_rng(4).random((3, SIDE, SIDE, 3), np.float32))
    make_with_keras_2(folder)
    return folder


def notebook(outputs: int = 2) -> keras.Model:
    """The notebook's network, small, with weights that make its output vary."""
    keras.utils.set_random_seed(3)
    end = "sigmoid" if outputs == 1 else "softmax"
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(8, activation="relu"),
            layers.Dense(outputs, activation=end),
        ]
    )


def everything() -> keras.Model:
    """A network with every kind of layer that is taken, branched and nested."""
    keras.utils.set_random_seed(5)
    start = {"kernel_initializer": "he_normal", "bias_initializer": "random_normal"}
    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(2.0, offset=-1.0)(pixels)
    x = layers.ZeroPadding2D(((1, 0), (2, 1)))(x)
    x = layers.Conv2D(8, (3, 2), dilation_rate=2, groups=1, **start)(x)
    x = layers.PReLU(shared_axes=[1, 2], alpha_initializer="ones")(x)
    x = layers.PReLU(alpha_initializer="random_normal")(x)
    x = layers.BatchNormalization(gamma_initializer="random_normal", center=False)(x)
    x = layers.GaussianNoise(0.1)(layers.SpatialDropout2D(0.1)(x))
    a = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x)
    b = layers.SeparableConv2D(16, 3, strides=2, padding="same", activation="elu")(x)
    c = layers.Conv2D(16, 1, strides=2, groups=2, use_bias=False)(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(c)
    gate = layers.Conv2D(16, 1, activation="sigmoid")(gate)
    merged = [layers.Multiply()([a, gate]), layers.Maximum()([a, b]), layers.Average()([b, c])]
    merged += [layers.Subtract()([c, a]), layers.Minimum()([b, c]), layers.Add()([a, b, c])]
    x = layers.Concatenate()(merged)
    x = layers.LayerNormalization()(layers.Cropping2D(((1, 0), (0, 1)))(x))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    x = layers.Permute((2, 1, 3))(layers.ReLU(max_value=6.0)(x))
    body = keras.Model(pixels, layers.MaxPooling2D(2)(x), name="body")
    inner = keras.Sequential([keras.Input(body.output.shape[1:]), layers.Conv2D(4, 3, **start)])
    image = keras.Input((SIDE, SIDE, 3))
    y = inner(body(image, training=False))
    y = layers.concatenate([layers.Reshape((-1,))(y), layers.Flatten()(layers.ELU(0.5)(y))])
    y = layers.LeakyReLU(0.3)(layers.Dense(5, **start)(layers.GaussianDropout(0.2)(y)))
    return keras.Model(image, layers.Softmax()(layers.Dense(2, **start)(y)))


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that Keras 3 has saved; do not change them."""
    folder = tmp_path_factory.mktemp("keras3")
    networks = {"softmax": notebook(2), "sigmoid": notebook(1), "everything": everything()}
    networks["softmax"].compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    for name, network in networks.items():
        network.save(folder / f"{name}.keras")
        network.save(folder / f"{name}.h5")
    networks["softmax"].save_weights(folder / "softmax.weights.h5")
    return folder


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six drawn cells of several sizes."""
    folder = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(8)
    paths = [folder / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        draw_cell(rng, number % 2 == 0, size=50 + 9 * number).save(path)
    return paths


def probabilities(path: Path, cells: list[Path], **stated: Any) -> list[float]:
    """What malscan gives for some cells with a network in a file."""
    model = open_model(path, KerasFileSettings(**stated))
    images = [CellImage(str(cell), "s") for cell in cells]
    found = [
        one.probability for lot in Predictor(model).predict(images, batch_size=4) for one in lot
    ]
    assert all(probability is not None and 0 <= probability <= 1 for probability in found)
    return [float(probability or 0) for probability in found]


def pixels_of(cells: list[Path], side: int = SIDE) -> npt.NDArray[Any]:
    """Cells as the notebook's loader gives them, before they are rescaled."""
    resized = []
    for cell in cells:
        with Image.open(cell) as image:
            nearest = image.convert("RGB").resize((side, side), Image.Resampling.NEAREST)
            resized.append(np.asarray(nearest, np.float32))
    return np.stack(resized)


def computed_by_keras(path: Path, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    network = keras.saving.load_model(path, compile=False)
    return np.asarray(network(pixels, training=False))


def outputs(
    path: Path, pixels: npt.NDArray[Any], order: tuple[str, ...] = CLASSES
) -> npt.NDArray[Any]:
    """Probabilities of both classes with the network that malscan builds."""
    return np.asarray(build_network(read_keras_file(path), order)(pixels, training=False))


class TestProbabilities:
    def test_of_a_softmax_are_those_of_keras(self, saved: Path, cells: list[Path]) -> None:
        path = saved / "softmax.h5"
        expected = computed_by_keras(path, pixels_of(cells) / 255)[:, 0]
        np.testing.assert_allclose(probabilities(path, cells), expected, atol=1e-5)

    def test_of_a_sigmoid_are_those_of_the_first_class(
        self, saved: Path, cells: list[Path]
    ) -> None:
        path = saved / "sigmoid.keras"
        expected = 1 - computed_by_keras(path, pixels_of(cells) / 255)[:, 0]
        np.testing.assert_allclose(probabilities(path, cells), expected, atol=1e-5)

    def test_follow_factor_and_class_order(self, saved: Path, cells: list[Path]) -> None:
        path = saved / "sigmoid.h5"
        expected = computed_by_keras(path, pixels_of(cells) * 0.1)[:, 0]
        stated = {"rescale": 0.1, "class_order": ClassOrder.UNINFECTED_FIRST}
        np.testing.assert_allclose(probabilities(path, cells, **stated), expected, atol=1e-5)
        unstated = computed_by_keras(path, pixels_of(cells) / 255)[:, 0]
        assert np.abs(expected - unstated).max() > 1e-3

    def test_follow_the_kernel(self, saved: Path, cells: list[Path]) -> None:
        path = saved / "softmax.keras"
        preprocessing = Preprocessing(SIDE, Kernel.AREA)
        images = [np.asarray(Image.open(cell).convert("RGB")) for cell in cells]
        pixels = resize(images, preprocessing).numpy()
        expected = computed_by_keras(path, pixels.astype(np.float32) / 255)[:, 0]
        found = probabilities(path, cells, kernel=Kernel.AREA)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        nearest = computed_by_keras(path, pixels_of(cells) / 255)[:, 0]
        assert np.abs(expected - nearest).max() > 1e-4

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.parametrize("name", ["softmax", "sigmoid", "everything"])
    def test_are_built_as_keras_loads_them(
        self, name: str, suffix: str, saved: Path, cells: list[Path]
    ) -> None:
        pixels = pixels_of(cells) / 255
        expected = computed_by_keras(saved / f"{name}{suffix}", pixels)
        found = outputs(saved / f"{name}{suffix}", pixels)
        np.testing.assert_allclose(found[:, -expected.shape[1] :], expected, atol=1e-6)
        assert np.ptp(expected[:, 0]) > 1e-3

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.parametrize("name", ["softmax", "sigmoid", "branched"])
    def test_of_files_by_keras_2_are_those_of_keras_2(
        self, name: str, suffix: str, keras_2: Path
    ) -> None:
        expected = np.load(keras_2 / f"{name}.npy")
        found = outputs(keras_2 / f"{name}{suffix}", np.load(keras_2 / "pixels.npy"))
        np.testing.assert_allclose(found[:, -expected.shape[1] :], expected, atol=1e-6)
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)

    @pytest.mark.parametrize("name", ["softmax.h5", "sigmoid.keras"])
    def test_are_mirrored_by_the_other_class_order(
        self, name: str, saved: Path, cells: list[Path]
    ) -> None:
        pixels = pixels_of(cells) / 255
        first, other = (outputs(saved / name, pixels, tuple(o.split(","))) for o in ClassOrder)
        np.testing.assert_array_equal(first, other[:, ::-1])

    @pytest.mark.parametrize("bias", [200, -200])
    def test_stay_probabilities_where_a_sigmoid_is_sure(self, bias: float, tmp_path: Path) -> None:
        network = notebook(1)
        kernel, _ = network.layers[-1].get_weights()
        network.layers[-1].set_weights([kernel * 0, np.array([bias])])
        network.save(tmp_path / "sure.keras")
        built = build_network(read_keras_file(tmp_path / "sure.keras"), CLASSES)
        classify = classifier(built, Preprocessing(SIDE, Kernel.AREA), 1.0)
        found = classify(np.zeros((2, SIDE, SIDE, 3), np.uint8)).numpy()
        np.testing.assert_allclose(found, float(bias < 0), atol=1e-30)
        assert ((found >= 0) & (found <= 1)).all()

    def test_that_are_no_numbers_stop_the_scan(self, tmp_path: Path, cells: list[Path]) -> None:
        network = notebook()
        for layer, weight in zip(network.layers[-2:], (1e30, 1e30), strict=True):
            layer.set_weights([array + np.float32(weight) for array in layer.get_weights()])
        network.save(tmp_path / "m.keras")
        with pytest.raises(MalscanError, match="its output for a cell is not a number"):
            probabilities(tmp_path / "m.keras", cells)

    def test_do_not_mind_mixed_precision_or_a_fixed_batch(
        self, tmp_path: Path, cells: list[Path]
    ) -> None:
        keras.utils.set_random_seed(1)
        network = keras.Sequential(
            [
                keras.Input(batch_shape=(7, SIDE, SIDE, 3)),
                layers.Conv2D(4, 3, dtype="mixed_float16"),
                layers.GlobalMaxPooling2D(dtype="mixed_float16"),
                layers.Dense(2, activation="softmax"),
            ]
        )
        network.save(tmp_path / "m.keras")
        pixels = pixels_of(cells) / 255
        expected = computed_by_keras(tmp_path / "m.keras", pixels)
        np.testing.assert_allclose(outputs(tmp_path / "m.keras", pixels), expected, atol=3e-3)

    @pytest.mark.parametrize("outputs_of_last", [1, 2])
    def test_keep_their_digits_in_bfloat16(
        self, outputs_of_last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(devices, "has_bfloat16", lambda: True)
        file = read_keras_file(saved_as(notebook(outputs_of_last), tmp_path / "m.keras"))
        pixels = np.random.default_rng(1).random((8, SIDE, SIDE, 3), np.float32)
        full = build_network(file, CLASSES)(pixels).numpy()
        with computing_in(Precision.BFLOAT16):
            network = build_network(file, CLASSES)
        short = network(pixels).numpy()
        assert not np.array_equal(short, full), "nothing was computed in bfloat16"
        np.testing.assert_allclose(short, full, atol=0.02)
        # In bfloat16 itself these would hold 8 bits.
        assert not np.array_equal(short, tf.cast(tf.cast(short, tf.bfloat16), tf.float32))

    @pytest.mark.slow
    def test_the_full_network_of_the_notebook(self, tmp_path: Path, cells: list[Path]) -> None:
        np.save(tmp_path / "pixels.npy", pixels_of(cells, 125) / 255)
        make_with_keras_2(tmp_path, "full")
        expected = np.load(tmp_path / "full.npy")[:, 0]
        np.testing.assert_allclose(probabilities(tmp_path / "full.h5", cells), expected, atol=1e-5)
        assert read_keras_file(tmp_path / "full.h5").plan.parameters == 1_900_098


class TestWhatIsRead:
    @pytest.mark.parametrize("name", ["softmax", "sigmoid", "everything"])
    def test_every_weight_is_counted_before_keras_builds(self, name: str, saved: Path) -> None:
        plan = read_keras_file(saved / f"{name}.keras").plan
        assert plan.parameters == keras.saving.load_model(saved / f"{name}.keras").count_params()
        assert read_keras_file(saved / f"{name}.h5").plan.parameters == plan.parameters

    @pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
    def test_the_networks_of_malscan_are_taken(self, network: Network, tmp_path: Path) -> None:
        built = network.build(folded=True)
        plan = read_keras_file(saved_as(built, tmp_path / "m.h5")).plan
        assert plan.parameters == built.count_params()
        assert plan.input_shape[0] == network.preprocessing.size

    def test_what_is_not_stated_is_told(self, saved: Path) -> None:
        model = open_model(saved / "sigmoid.h5", NOTHING_STATED)
        assert (model.name, model.size, model.kernel) == ("sigmoid", SIDE, "pillow-nearest")
        assert (model.rescale, model.threshold, model.temperature) == (1 / 255, 0.5, 1)
        assert model.assumed == (
            "pixels times 1/255 (default of --rescale)",
            "images resized by pillow-nearest (default of --resize-kernel)",
            "the classes in the order parasitized, uninfected (the output is the probability of "
            "uninfected) (default of --class-order)",
            "its outputs taken for probabilities as they are",
        )

    def test_what_is_stated_is_told_as_such(self, saved: Path) -> None:
        stated = KerasFileSettings(2.0, Kernel.AREA, ClassOrder.UNINFECTED_FIRST)
        assert open_model(saved / "softmax.keras", stated).assumed[:3] == (
            "pixels times 2 (--rescale)",
            "images resized by area (--resize-kernel)",
            "the classes in the order uninfected, parasitized (--class-order)",
        )

    def test_a_network_that_rescales_itself_is_told(self, saved: Path) -> None:
        assumed = open_model(saved / "everything.h5", NOTHING_STATED).assumed
        assert "Rescaling layer" in assumed[-1]

    def test_nothing_is_assumed_of_a_model_folder(self) -> None:
        assert open_model(EMBEDDED, NOTHING_STATED).assumed == ()

    def test_a_folder_says_itself_what_could_be_stated(self) -> None:
        with pytest.raises(UsageError, match="which says it itself"):
            open_model(EMBEDDED, KerasFileSettings(rescale=1))

    @pytest.mark.parametrize("rescale", [0, -1, float("nan"), float("inf")])
    def test_a_factor_that_cannot_be(self, rescale: float) -> None:
        with pytest.raises(UsageError, match="--rescale"):
            KerasFileSettings(rescale=rescale)

    def test_suffixes_in_capitals_and_links_are_taken(self, saved: Path, tmp_path: Path) -> None:
        (tmp_path / "MODEL.H5").symlink_to(saved / "softmax.h5")
        (tmp_path / "model.hdf5").write_bytes((saved / "softmax.h5").read_bytes())
        for name in ("MODEL.H5", "model.hdf5"):
            build_network(read_keras_file(tmp_path / name), CLASSES)

    def test_a_name_that_is_not_utf_8_can_stand_in_a_report(
        self, saved: Path, tmp_path: Path
    ) -> None:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.keras"))
        path.write_bytes((saved / "softmax.keras").read_bytes())
        assert open_model(path, NOTHING_STATED).name == "\\xff"

    def test_reading_does_without_tensorflow(self, saved: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from malscan.foreign import read_keras_file\n"
            "for path in sys.argv[1:]: read_keras_file(Path(path))\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)"
        )
        files = [str(saved / "softmax.keras"), str(saved / "softmax.h5")]
        subprocess.run([sys.executable, "-c", code, *files], check=True)


def refusal(path: Path) -> str:
    """Why a file is refused: one line that names it; exit code 1."""
    with pytest.raises(MalscanError) as caught:
        model = open_model(path, NOTHING_STATED)
        Predictor(model)
    message = str(caught.value)
    assert message.startswith(f"cannot use {path} as a model: ")
    assert "\n" not in message
    assert caught.value.exit_code == ExitCode.FAILED
    return message.removeprefix(f"cannot use {path} as a model: ")


def saved_as(network: keras.Model, path: Path) -> Path:
    network.save(path)
    return path


def ending(*end: layers.Layer) -> keras.Model:
    start = [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(2, 3), layers.GlobalMaxPooling2D()]
    return keras.Sequential([*start, *end])


def taking(*shape: int | None) -> keras.Model:
    pool = layers.GlobalMaxPooling2D() if len(shape) == 3 else layers.Flatten()
    return keras.Sequential([keras.Input(shape), pool, layers.Dense(2, activation="softmax")])


def two_inputs() -> keras.Model:
    inputs = [keras.Input((SIDE, SIDE, 3)) for _ in range(2)]
    x = layers.GlobalMaxPooling2D()(layers.Add()(inputs))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def two_heads() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.GlobalMaxPooling2D()(image)
    return keras.Model(image, [layers.Dense(2, activation="softmax")(x) for _ in range(2)])


def shared_layer() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    again = layers.Conv2D(3, 3, padding="same")
    x = layers.GlobalMaxPooling2D()(again(again(image)))
    return keras.Model(image, layers.Dense(2, activation="softmax")(x))


class TestNetworksThatAreNotTaken:
    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda: ending(layers.Dense(3, activation="softmax")), "it has 3 outputs"),
            (lambda: ending(layers.Dense(2)), "ends in linear"),
            (lambda: ending(layers.Dense(1)), "ends in linear"),
            (lambda: ending(layers.Dense(1, activation="softmax")), "must end in sigmoid"),
            (lambda: ending(layers.Dense(2, activation="sigmoid")), "must end in softmax"),
            (lambda: ending(layers.Lambda(abs)), "it has a Lambda"),
            (lambda: taking(SIDE, SIDE, 1), "its input is 32 x 32 x 1; malscan takes square"),
            (lambda: taking(SIDE, 40, 3), "its input is 32 x 40 x 3"),
            (lambda: taking(12), "its input is 12"),
            (lambda: taking(None, None, 3), "leaves the size of its input open"),
            (two_inputs, "it has several inputs"),
            (two_heads, "it has several outputs"),
            (shared_layer, "is used more than once"),
        ],
    )
    def test_the_reason_is_told(
        self, make: Callable[[], keras.Model], reason: str, tmp_path: Path
    ) -> None:
        assert reason in refusal(saved_as(make(), tmp_path / "m.keras"))

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda: ending(layers.Lambda(abs)), "it has a Lambda"),
            (two_inputs, "it has several inputs"),
        ],
    )
    def test_the_reason_is_told_of_h5(
        self, make: Callable[[], keras.Model], reason: str, tmp_path: Path
    ) -> None:
        assert reason in refusal(saved_as(make(), tmp_path / "m.h5"))


class TestFilesThatAreNoModels:
    def test_nothing_there_is_wrong_usage(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no such model"):
            open_model(tmp_path / "m.keras", NOTHING_STATED)

    @pytest.mark.parametrize("address", ["gs://bucket/m.keras", "https://example.org/m.h5"])
    def test_an_address_is_not_looked_up(self, address: str) -> None:
        with pytest.raises(UsageError, match=r"no such model.*a local \.keras or \.h5 file"):
            open_model(Path(address), NOTHING_STATED)

    def test_a_folder_with_the_name_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "m.keras").mkdir()
        with pytest.raises(MalscanError, match=r"not a malscan model: .*m\.keras"):
            open_model(tmp_path / "m.keras", NOTHING_STATED)

    def test_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "m.h5")
        assert "not a regular file" in refusal(tmp_path / "m.h5")

    def test_another_suffix(self, tmp_path: Path) -> None:
        (tmp_path / "m.onnx").write_bytes(b"x")
        assert "a file ending in .keras, .h5 or .hdf5" in refusal(tmp_path / "m.onnx")

    @pytest.mark.parametrize("content", [b"", b"rubbish" * 99, b"\x89HDF\r\n\x1a\n" + bytes(99)])
    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    def test_rubbish(self, content: bytes, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"m{suffix}"
        path.write_bytes(content)
        assert "it is damaged, or no" in refusal(path)

    @pytest.mark.parametrize("name", ["softmax.keras", "softmax.h5"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_a_file_that_is_cut_off(
        self, share: float, name: str, saved: Path, tmp_path: Path
    ) -> None:
        content = (saved / name).read_bytes()
        (tmp_path / name).write_bytes(content[: int(share * len(content))])
        assert "damaged" in refusal(tmp_path / name)

    def test_a_file_that_the_hdf5_library_hangs_on(
        self, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(foreign, "HDF5_SECONDS", 0.001)
        assert "reading it takes longer than 0.001 s" in refusal(saved / "softmax.h5")

    def test_weights_only(self, saved: Path, keras_2: Path) -> None:
        for path in (saved / "softmax.weights.h5", keras_2 / "weights.h5"):
            assert "weights only. Save the whole model" in refusal(path)

    def test_another_hdf5_file(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "m.h5", "w") as file:
            file["table"] = np.zeros(4)
        assert "but no Keras model" in refusal(tmp_path / "m.h5")

    def test_a_zip_of_something_else(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.writestr("metadata.json", "{}")
        assert "it is no Keras model" in refusal(tmp_path / "m.keras")

    def test_a_file_that_is_too_large(self, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(foreign, "MAX_BYTES", 1000)
        assert "larger than 1 GB" in refusal(saved / "softmax.h5")

    @pytest.mark.parametrize("config", ["", "{", "[" * 100_000, "null", "[]", "{}", '"Sequential"'])
    def test_a_config_that_is_none(self, config: str, saved: Path, tmp_path: Path) -> None:
        path = rewritten(saved / "softmax.keras", tmp_path, {"config.json": config})
        assert "config" in refusal(path)


def rewritten(source: Path, folder: Path, members: dict[str, str | bytes]) -> Path:
    """A `.keras` file with other members put in or in place of its own."""
    path = folder / source.name
    with zipfile.ZipFile(source) as old:
        content: dict[str, str | bytes] = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in (content | members).items():
            new.writestr(name, data)
    return path


Change = Callable[[dict[str, Any]], object]


def reconfigured(source: Path, folder: Path, change: Change) -> Path:
    """The same file with its config changed."""
    path = folder / source.name
    if source.suffix == ".keras":
        with zipfile.ZipFile(source) as archive:
            config = json.loads(archive.read("config.json"))
        change(config)
        return rewritten(source, folder, {"config.json": json.dumps(config)})
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
    return path


def layer(number: int, **facts: Any) -> Change:
    """Change a layer: its facts, or its options."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][number].update(facts)

    return change


def options(number: int, **values: Any) -> Change:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][number]["config"].update(values)

    return change


CODE = {"class_name": "__lambda__", "config": {"value": "4wEAAAAA"}}
CUSTOM = {"module": "evil", "class_name": "Dense", "registered_name": "evil>Dense", "config": {}}


class TestAttacks:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (layer(1, class_name="Lambda", config={"function": CODE}), "it has a"),
            (layer(1, class_name="TFSMLayer", config={"filepath": "x"}), "it has a TFSMLayer"),
            (layer(1, class_name="StringLookup"), "it has a StringLookup"),
            (layer(1, class_name="TextVectorization"), "it has a TextVectorization"),
            (layer(1, class_name="TorchModuleWrapper"), "it has a TorchModuleWrapper"),
            (layer(1, class_name="Evil\n\x1b[31m"), r"it has a 'Evil\n\x1b[31m'"),
            (layer(1, class_name=["Conv2D"]), "it has a ['Conv2D']"),
            (layer(1, class_name="Zeros"), "is none: Zeros"),
            (layer(1, registered_name="evil>Conv2D"), "names evil>Conv2D"),
            (layer(1, module="os"), "it names os, which is not a part of Keras"),
            (layer(1, module=["os"]), "it names ['os']"),
            (layer(1, module="keras.src.utils"), "it names keras.src.utils"),
            (options(1, activation=CODE), "it has a __lambda__"),
            (options(1, activation="os.system"), "'os.system' is not known"),
            (options(1, kernel_initializer=CUSTOM), "it names evil"),
            (options(1, bias_regularizer={"class_name": "function"}), "it has a function"),
            (options(1, kernel_constraint={"class_name": "__numpy__"}), "it has a __numpy__"),
            (options(1, dtype={"class_name": "__typespec__"}), "it has a __typespec__"),
            (options(1, dtype="string"), "it computes in string"),
            (options(1, data_format="channels_first"), "channels do not come last"),
            (options(7, lora_rank=10**6), "it uses lora_rank"),
            (options(7, units=10**9), "not a whole number from 1 to 100000"),
            (options(7, units=-1), "not a whole number"),
            (options(7, units=2.5), "not a whole number"),
            (options(7, units=True), "not a whole number"),
            (options(7, units=None), "has no 'units'"),
            (lambda c: c["config"]["layers"][7]["config"].pop("units"), "has no 'units'"),
            (options(1, filters=100_000), "puts out 30 x 30 x 100000 values"),
            (options(1, kernel_size=[99, 99]), "puts out"),
            (options(1, strides=[0, 0]), "not a whole number"),
            (options(1, padding="../x"), "'../x' is not known"),
            (layer(5, class_name="ZeroPadding2D", config={"name": "p", "padding": 9999}), "puts"),
            (layer(5, class_name="UpSampling2D", config={"name": "u", "size": 9999}), "puts out"),
            (layer(5, class_name="Reshape", config={"name": "r", "target_shape": [0, -1]}), "(Re"),
            (layer(5, class_name="Softmax", config={"name": "s", "axis": 0}), "no axis 0"),
            (layer(3, config={"name": "a/../b"}), "a layer name that is none"),
            (layer(3, config=None), "garbled"),
            (lambda c: c["config"].update(layers=[]), "it has no layers"),
            (
                layer(0, class_name="Sequential", config={"name": "e", "layers": []}),
                "it does not say what input it takes",
            ),
            (lambda c: c["config"].update(layers=[c["config"]["layers"][1]] * 3000), "over 2000"),
            (lambda c: c["config"]["layers"].append(c["config"]["layers"][1]), "the same name"),
            (lambda c: c["config"]["layers"].append(c["config"]["layers"][0]), "2 inputs"),
        ],
    )
    def test_a_config_is_refused_with_the_reason(
        self, change: Change, reason: str, saved: Path, tmp_path: Path
    ) -> None:
        assert reason in refusal(reconfigured(saved / "softmax.keras", tmp_path, change))

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (layer(1, class_name="Lambda", config={"function": CODE}), "it has a"),
            (layer(1, class_name="TFSMLayer", config={"filepath": "x"}), "it has a TFSMLayer"),
            (options(1, kernel_initializer=CUSTOM), "it names evil"),
        ],
    )
    def test_a_config_in_h5_is_refused_with_the_reason(
        self, change: Change, reason: str, saved: Path, tmp_path: Path
    ) -> None:
        assert reason in refusal(reconfigured(saved / "softmax.h5", tmp_path, change))

    def test_many_parameters_are_refused_before_they_are_allocated(
        self, saved: Path, tmp_path: Path
    ) -> None:
        def swell(config: dict[str, Any]) -> None:
            for number in (7, 8):
                config["config"]["layers"][number]["config"]["units"] = 50_000

        path = reconfigured(saved / "softmax.keras", tmp_path, swell)
        assert "it would need over 200,000,000 parameters" in refusal(path)

    def test_networks_nested_without_end(self, saved: Path, tmp_path: Path) -> None:
        def nest(config: dict[str, Any]) -> None:
            for _ in range(keras_plan.MAX_DEPTH + 2):
                inner = {**config, "config": dict(config["config"])}
                config["config"]["layers"] = [config["config"]["layers"][0], inner]

        assert "nested too deeply" in refusal(reconfigured(saved / "softmax.keras", tmp_path, nest))

    def test_what_training_used_is_never_looked_at(self, saved: Path, tmp_path: Path) -> None:
        evil = {"compile_config": {"loss": CODE}, "build_config": {"input_shape": [10**12] * 4}}
        path = reconfigured(saved / "softmax.keras", tmp_path, lambda config: config.update(evil))
        assert read_keras_file(path).plan == read_keras_file(saved / "softmax.keras").plan

    def test_a_loop_of_layers(self, saved: Path, tmp_path: Path) -> None:
        def loop(config: dict[str, Any]) -> None:
            entries = {entry["name"]: entry for entry in config["config"]["layers"]}
            for entry in entries.values():
                if entry["class_name"] == "Softmax":
                    history = entry["inbound_nodes"][0]["args"][0]["config"]["keras_history"]
                    history[0] = entry["name"]

        path = reconfigured(saved / "everything.keras", tmp_path, loop)
        assert "do not hang together" in refusal(path)

    @pytest.mark.parametrize("member", ["assets/vocabulary.txt", "../../evil", "model.pkl"])
    def test_other_members_of_the_zip(self, member: str, saved: Path, tmp_path: Path) -> None:
        path = rewritten(saved / "softmax.keras", tmp_path, {member: "x"})
        assert f"it holds '{member}', a part not known" in refusal(path)

    @pytest.mark.parametrize("member", ["config.json", "metadata.json"])
    def test_a_zip_bomb(self, member: str, saved: Path, tmp_path: Path) -> None:
        bomb = rewritten(saved / "softmax.keras", tmp_path, {member: b" " * 20_000_000})
        assert bomb.stat().st_size < 100_000
        assert f"its {member} has 20,000,000 bytes unpacked" in refusal(bomb)

    def test_weights_that_swell_beyond_what_their_network_can_use(
        self, saved: Path, tmp_path: Path
    ) -> None:
        bomb = rewritten(saved / "softmax.keras", tmp_path, {"model.weights.h5": bytes(10**8)})
        assert bomb.stat().st_size < 200_000
        assert "100,000,000 bytes unpacked, over the" in refusal(bomb)

    def test_arrays_that_no_layer_can_use(self, saved: Path, tmp_path: Path) -> None:
        def add(file: h5py.File) -> None:
            file.create_dataset("x", (5 * 10**7,), "f4", chunks=(10**6,), compression="gzip")

        path = with_h5_changed(saved / "softmax.h5", tmp_path, add)
        assert "its arrays have 200," in refusal(path)

    def test_a_zip_packed_in_another_way(self, saved: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("config.json", "{}")
        assert "packed in a way that Keras does not use" in refusal(tmp_path / "m.keras")

    def test_links_to_other_files(self, saved: Path, tmp_path: Path) -> None:
        def link(file: h5py.File) -> None:
            file["model_weights/dense/away"] = h5py.ExternalLink("/etc/passwd", "/x")

        assert "is a link" in refusal(with_h5_changed(saved / "softmax.h5", tmp_path, link))

    def test_soft_links(self, saved: Path, tmp_path: Path) -> None:
        def link(file: h5py.File) -> None:
            file["again"] = h5py.SoftLink("/model_weights")

        assert "'again' is a link" in refusal(with_h5_changed(saved / "softmax.h5", tmp_path, link))

    def test_data_in_other_files(self, saved: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(bytes(64))

        def outside(file: h5py.File) -> None:
            file.create_dataset("x", (16,), "f4", external=[(str(tmp_path / "secret"), 0, 64)])

        def virtual(file: h5py.File) -> None:
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4,))
            file.create_virtual_dataset("x", layout)

        for change in (outside, virtual):
            path = with_h5_changed(saved / "softmax.h5", tmp_path, change)
            assert "'x' lies in another file" in refusal(path)

    def test_arrays_that_grow_when_they_are_read(self, saved: Path, tmp_path: Path) -> None:
        def grow(file: h5py.File) -> None:
            file.create_dataset("x", (10**9,), "f4", chunks=(10**6,), compression="gzip")

        path = with_h5_changed(saved / "softmax.h5", tmp_path, grow)
        assert path.stat().st_size < 10**6
        assert "its arrays are larger than 1 GB" in refusal(path)

    def test_objects_that_are_no_numbers(self, saved: Path, tmp_path: Path) -> None:
        def text(file: h5py.File) -> None:
            file["x"] = ["text"]

        path = with_h5_changed(saved / "softmax.h5", tmp_path, text)
        assert "'x' is not an array of numbers" in refusal(path)

    def test_links_within_the_weights_of_a_keras_file(self, saved: Path, tmp_path: Path) -> None:
        def link(file: h5py.File) -> None:
            file["away"] = h5py.ExternalLink("/etc/passwd", "/x")

        weights = with_h5_changed(saved / "softmax.weights.h5", tmp_path, link).read_bytes()
        path = rewritten(saved / "softmax.keras", tmp_path, {"model.weights.h5": weights})
        assert "'away' is a link" in refusal(path)


class TestWeightsThatDoNotFit:
    @pytest.mark.parametrize("name", ["softmax.keras", "softmax.h5"])
    def test_of_another_network(self, name: str, saved: Path, tmp_path: Path) -> None:
        path = reconfigured(saved / name, tmp_path, options(1, filters=5))
        assert "Keras says" in refusal(path)

    @pytest.mark.parametrize("name", ["softmax.keras", "softmax.h5"])
    def test_of_fewer_layers(self, name: str, saved: Path, tmp_path: Path) -> None:
        extra = {"class_name": "Dense", "config": {"name": "more", "units": 8}}
        path = reconfigured(
            saved / name, tmp_path, lambda config: config["config"]["layers"].insert(7, extra)
        )
        assert "Keras says" in refusal(path)

    def test_that_are_not_there(self, saved: Path, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "empty.h5", "w") as file:
            file.create_group("layers")
        empty = (tmp_path / "empty.h5").read_bytes()
        path = rewritten(saved / "softmax.keras", tmp_path, {"model.weights.h5": empty})
        assert "Keras says" in refusal(path)

    def test_a_full_temporary_folder_is_not_blamed_on_the_file(
        self, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*args: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        file = read_keras_file(saved / "softmax.h5")
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(MalscanError, match=r"No space left on device\. Set TMPDIR"):
            build_network(file, CLASSES)

    def test_that_are_not_finite(self, tmp_path: Path) -> None:
        network = notebook()
        network.layers[-1].set_weights(
            [array * np.nan for array in network.layers[-1].get_weights()]
        )
        assert "not finite" in refusal(saved_as(network, tmp_path / "m.h5"))


def with_h5_changed(source: Path, folder: Path, change: Callable[[h5py.File], object]) -> Path:
    path = folder / source.name
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path
