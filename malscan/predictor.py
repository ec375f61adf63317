"""A model and images in, predictions out: in order, batch by batch, whatever the images are."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import keras
import numpy as np
import tensorflow as tf

from malscan.appearance import distance_from
from malscan.devices import computing_in, has_gpu
from malscan.errors import MalscanError
from malscan.keras_network import build_network
from malscan.kernel import Kernel
from malscan.model import Arrays, Model
from malscan.networks import NETWORKS, Network
from malscan.operations import Weights
from malscan.pipeline import Batch, batches, usable_cores
from malscan.prediction import DECIMALS, Prediction
from malscan.preprocess import Preprocessing
from malscan.settings import Precision
from malscan.walk import CellImage

Softmax = Callable[[tf.Tensor], tf.Tensor]
"""From float32 [batch, size, size, 3] to softmax probabilities [batch, 2]."""

Classifier = Callable[[tf.Tensor], tf.Tensor]
"""From uint8 [batch, size, size, 3] to float32 [batch], the probability of `parasitized`."""

_AT_ONCE = 64
"""Images to a forward pass on a processor: what comes of more of them does not fit its cache."""


class Predictor:
    """A model ready to run: built once, then used for any number of images."""

    def __init__(
        self,
        model: Model,
        *,
        precision: Precision = Precision.FLOAT32,
        cores: int | None = None,
    ) -> None:
        """Build the network and load the weights.

        Args:
            model: the model.
            precision: numbers to compute in; not `auto`.
            cores: processor cores to use; None for all that this process may run on.

        Raises:
            MalscanError: the model names a resize kernel or a network that is not known, or
                the weights do not fit the network, or what is computed on does not have these
                numbers.
        """
        _use_one_thread_a_batch()
        self.model = model
        self._warm = False
        self._cores = cores or usable_cores()
        self.preprocessing = preprocessing_of(model)
        with computing_in(precision):
            network = _network_of(model)
        self._classify = classifier(network, self.preprocessing, model.temperature)
        self._distance = None if model.usual is None else distance_from(model.usual, model.size)

    def predict(
        self,
        images: Iterable[CellImage | None],
        *,
        batch_size: int,
        any_size: bool = False,
        hashed: bool = False,
    ) -> Iterator[list[Prediction]]:
        """Predict images in their order.

        Args:
            images: may be lazy; None among them ends a batch early.
            batch_size: images that are loaded and classified together.
            any_size: accept images with a side over `malscan.picture.MAX_SIDE` pixels.
            hashed: hash the pixels of each image, too.

        Yields:
            Predictions of consecutive images; all of them together are the images that
            went in, each once.
        """
        loaded = batches(
            images,
            self.preprocessing,
            batch_size=batch_size,
            any_size=any_size,
            hashed=hashed,
            cores=self._cores,
        )
        with ThreadPoolExecutor(self._cores) as pool:
            if not self._warm:
                self._warm = True
                pool.submit(self._warm_up)
            running: deque[Future[list[Prediction]]] = deque()
            for batch in loaded:
                running.append(pool.submit(self._predictions, batch))
                if len(running) > self._cores:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()

    def _warm_up(self) -> None:
        """Prepare the graphs while the first batch is being read; a fault comes again with it."""
        black = tf.zeros([1, *[self.preprocessing.size] * 2, 3], tf.uint8)
        self._classify(black)
        if self._distance is not None:
            self._distance(black)

    def _predictions(self, batch: Batch) -> list[Prediction]:
        scored = [] if batch.pixels is None else self._classify(batch.pixels).numpy()
        if not np.isfinite(scored).all():
            raise MalscanError(f"model {self.model.name}: its output for a cell is not a number")
        measured = self._unlike(batch)
        return [
            Prediction(
                item.image,
                None if item.slot is None else round(float(scored[item.slot]), DECIMALS),
                item.error,
                item.grey,
                pixel_hash=item.pixel_hash,
                unlike=None if item.slot is None else measured[item.slot],
            )
            for item in batch.items
        ]

    def _unlike(self, batch: Batch) -> Sequence[float | None]:
        """How unlike usual cells the images in the slots of a batch are."""
        if batch.pixels is None or self._distance is None or self.model.usual is None:
            return [None] * len(batch.items)
        return self.model.usual.unlike(self._distance(batch.pixels).numpy()).tolist()


def _network_of(model: Model) -> Softmax:
    """The network of a model, computed in the numbers of the dtype policy in force."""
    if model.keras_file is not None:
        built = build_network(model.keras_file, model.class_order)
        return lambda pixels: built(pixels, training=False)
    network, dtype = _known(model), keras.config.dtype_policy().compute_dtype
    return lambda pixels: network.compute(pixels, Weights(model), dtype)


def _use_one_thread_a_batch() -> None:
    """Let batches run side by side instead of splitting each operation over the cores.

    The operations of a small network are too short to be worth sharing out. Has no effect in a
    process that has computed with TensorFlow before, as after a training.
    """
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)


def preprocessing_of(model: Model) -> Preprocessing:
    """What has to be done to a cell before a model sees it.

    Raises:
        MalscanError: the model names a resize kernel that is not known.
    """
    if model.kernel not in list(Kernel):
        raise MalscanError(f"model {model.name}: unknown resize kernel {model.kernel!r}")
    return Preprocessing(model.size, Kernel(model.kernel), model.rescale)


def classifier(network: Softmax, preprocessing: Preprocessing, temperature: float) -> Classifier:
    """The compiled function from pixels to calibrated probabilities.

    Args:
        network: a function, or a Keras network, which infers unless it is told to train.
        preprocessing: gives the size of the input and the factor from pixels to it.
        temperature: divides the logit (Guo et al. 2017, On Calibration of Modern Neural
            Networks).

    Raises:
        MalscanError: its weights do not fit the network.
    """

    def classify(pixels: tf.Tensor) -> tf.Tensor:
        softmax = network(tf.cast(pixels, tf.float32) * preprocessing.rescale)
        return tf.sigmoid(logits(softmax) / temperature)

    size = preprocessing.size
    pixels = tf.TensorSpec([None, size, size, 3], tf.uint8)
    whole = classify if has_gpu() else _part_by_part(classify)
    compiled = tf.function(whole, jit_compile=False, autograph=False)
    found: Classifier = compiled.get_concrete_function(pixels)
    return found


def _part_by_part(classify: Classifier) -> Classifier:
    """The same function, to be compiled, that computes a few images after the other."""

    def classify_parts(pixels: tf.Tensor) -> tf.Tensor:
        count = tf.shape(pixels)[0]
        parts = -(-count // _AT_ONCE)
        # The last part may be smaller than the others.
        found = tf.TensorArray(tf.float32, parts, infer_shape=False, element_shape=[None])

        def add(part: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            start = part * _AT_ONCE
            return part + 1, found.write(part, classify(pixels[start : start + _AT_ONCE]))

        _, found = tf.while_loop(
            lambda part, _: part < parts, add, [0, found], parallel_iterations=1
        )
        return found.concat()

    return classify_parts


def logits(softmax: tf.Tensor) -> tf.Tensor:
    """Log odds of `parasitized` [batch] from softmax probabilities [batch, 2]."""
    tiny = np.finfo(np.float32).tiny
    log = tf.math.log(tf.maximum(tf.cast(softmax, tf.float32), tiny))
    return log[:, 0] - log[:, 1]


def weights_of(network: keras.Model) -> Arrays:
    """All weights of a network by variable path, float32."""
    return {variable.path: np.asarray(variable.value, np.float32) for variable in network.weights}


def rebuild(model: Model) -> keras.Model:
    """Build the network of a model folder from Keras layers, to go on training it or to teach.

    Nothing but numbers is taken from the file, so a model from a stranger cannot run code.

    Returns:
        The network without batch normalisation, float32.

    Raises:
        MalscanError: the network is not known, or the weights do not fit it.
    """
    network, weights = _known(model).build(folded=True), Weights(model)
    for variable in network.weights:
        variable.assign(weights.take(variable.path, variable.shape))
    weights.check_all_taken()
    return network


def _known(model: Model) -> Network:
    if model.network not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise MalscanError(f"model {model.name}: unknown network {model.network!r} ({known})")
    network = NETWORKS[model.network]
    if model.size != network.preprocessing.size:
        raise MalscanError(
            f"model {model.name}: {model.network} takes {network.preprocessing.size} pixels, "
            f"not {model.size}"
        )
    return network
