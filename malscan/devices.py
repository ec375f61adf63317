"""What to compute on: devices, and the numbers that networks are computed in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from malscan.errors import MalscanError
from malscan.hardware import has_bfloat16, has_fast_bfloat16
from malscan.settings import Precision

_CAPABILITY_FOR_BFLOAT16 = (8, 0)
"""CUDA compute capability from which a GPU has bfloat16 (Ampere)."""


def use_device(device: str) -> str:
    """Let TensorFlow see only the device that was asked for.

    A GPU's memory is taken as it is needed, and its float32 is all of float32: TF32, which keeps
    10 of the 23 bits of a fraction, is switched off.

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
    tf.config.experimental.enable_tensor_float_32_execution(False)
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
    gpus = [_details(gpu).get("device_name", "a GPU") for gpu in _gpus()]
    return " and ".join([f"{len(os.sched_getaffinity(0))} cores", *gpus])


def training_precision(precision: Precision, *, wide: bool) -> Precision:
    """The numbers to train in: what was asked for, or what `auto` stands for.

    Args:
        precision: what the user asked for.
        wide: whether the network has layers wide enough to gain from bfloat16.
    """
    if precision is not Precision.AUTO:
        return precision
    gpus = _gpus()
    fast = all(map(_has_bfloat16, gpus)) if gpus else has_fast_bfloat16()
    return Precision.BFLOAT16 if wide and fast else Precision.FLOAT32


@contextmanager
def computing_in(precision: Precision) -> Iterator[str]:
    """Build networks that compute in some numbers; their weights are float32 all the same.

    Args:
        precision: not `auto`.

    Yields:
        The Keras dtype policy: `float32`, `mixed_bfloat16` or `mixed_float16`.

    Raises:
        MalscanError: what is computed on does not have these numbers.
    """
    _check_has(precision)
    before = keras.config.dtype_policy()
    policy = "float32" if precision is Precision.FLOAT32 else f"mixed_{precision}"
    keras.config.set_dtype_policy(policy)
    try:
        yield policy
    finally:
        keras.config.set_dtype_policy(before)


def _has_bfloat16(gpu: tf.config.PhysicalDevice) -> bool:
    return bool(_details(gpu).get("compute_capability", (0, 0)) >= _CAPABILITY_FOR_BFLOAT16)


def _check_has(precision: Precision) -> None:
    gpus = _gpus()
    if precision is Precision.FLOAT16 and not gpus:
        raise MalscanError("--precision float16 needs a GPU. Give float32 or bfloat16.")
    if precision is Precision.BFLOAT16 and not gpus and not has_bfloat16():
        raise MalscanError(
            "--precision bfloat16: this processor does not have it (avx512_bf16 or amx_bf16 "
            "among the flags of /proc/cpuinfo). Give auto or float32."
        )
    for gpu in gpus if precision is Precision.BFLOAT16 else ():
        if not _has_bfloat16(gpu):
            raise MalscanError(
                "--precision bfloat16: this GPU does not have it (compute capability 8.0 or "
                "later). Give float32 or float16."
            )


def has_gpu() -> bool:
    """Whether a GPU computes in this process."""
    return bool(_gpus())


def _gpus() -> list[tf.config.PhysicalDevice]:
    return tf.config.get_visible_devices("GPU")


def _details(gpu: tf.config.PhysicalDevice) -> dict[str, Any]:
    return tf.config.experimental.get_device_details(gpu)
