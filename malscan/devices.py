"""What to compute on: devices, and the numbers that networks are computed in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from malscan.errors import MalscanError
from malscan.settings import Precision


def use_device(device: str) -> str:
    """Let TensorFlow see only the device that was asked for.

    Args:
        device: `auto` (the first GPU if there is one), `cpu`, `gpu` or `gpu:N`.

    Returns:
        What is computed on: `CPU`, or the GPU's number, as `GPU:0`.

    Raises:
        MalscanError: there is no such GPU, or this process has computed on another device.
    """
    found = tf.config.list_physical_devices("GPU")
    number = int(device.partition(":")[2] or 0)
    if device.startswith("gpu") and number >= len(found):
        raise MalscanError(
            f"--device {device}: TensorFlow sees {len(found)} GPUs here. Install malscan[gpu] "
            "and check the driver (nvidia-smi), or give --device cpu."
        )
    chosen = [] if device == "cpu" else found[number : number + 1]
    try:
        tf.config.set_visible_devices(chosen, "GPU")
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        if tf.config.get_visible_devices("GPU") != chosen:
            raise MalscanError(
                f"--device {device}: this process has computed on another device already"
            ) from None
    return f"GPU:{number}" if chosen else "CPU"


def devices_in_words() -> str:
    """What this process computes on, as `2 cores and NVIDIA H200`."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.get_visible_devices("GPU")
    ]
    return " and ".join([f"{len(os.sched_getaffinity(0))} cores", *gpus])


def training_policy(precision: Precision, *, wide: bool) -> str:
    """The Keras dtype policy to train with.

    Args:
        precision: what the user asked for.
        wide: whether the network has layers wide enough to gain from bfloat16.

    Returns:
        `float32`, `mixed_bfloat16` or `mixed_float16`; weights are float32 in each.

    Raises:
        MalscanError: float16 without a GPU.
    """
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    if precision is Precision.FLOAT16 and not on_gpu:
        raise MalscanError("--precision float16 needs a GPU. Give float32 or bfloat16.")
    if precision is Precision.AUTO:
        native = on_gpu or computes_bfloat16()
        return "mixed_bfloat16" if wide and native else "float32"
    return "float32" if precision is Precision.FLOAT32 else f"mixed_{precision}"


def computes_bfloat16() -> bool:
    """Whether this processor has matrix units for bfloat16; without them it is no faster."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Build networks under a Keras dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
