"""What this machine can compute with, found out without loading TensorFlow."""

import os
from pathlib import Path

from malscan.settings import Computing, Precision

WIDE = frozenset({"baseline"})
"""Networks with layers wide enough to gain from units for bfloat16."""

_PROCESSOR = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_MATRIX_UNITS = "amx_bf16"


def precision_to_use(computing: Computing, network: str, *, on_cluster: bool = False) -> Precision:
    """The numbers to compute a network in: what was asked for, or what `auto` stands for.

    `auto` is bfloat16 for a wide network on a processor with matrix units for it, and float32
    otherwise: on a processor without, where it gains little; on a GPU, where nobody has measured
    it; and on a cluster, whose machines may differ.

    Args:
        computing: what was asked for.
        network: name of the network.
        on_cluster: whether other machines compute it.
    """
    if computing.precision is not Precision.AUTO:
        return computing.precision
    here = not on_cluster and not gpus_to_use(computing.device)
    fast = network in WIDE and here and has_matrix_units()
    return Precision.BFLOAT16 if fast else Precision.FLOAT32


def gpus_to_use(device: str) -> list[str]:
    """Models of the GPUs that may be computed on, as their driver names them.

    Args:
        device: `auto`, `cpu`, `gpu` or `gpu:N`.
    """
    if device == "cpu":
        return []
    models = []
    for number in visible_gpus():
        try:
            facts = sorted(_NVIDIA.glob("*"))[int(number)] / "information"
            lines = facts.read_text("ascii", "replace").splitlines()
        except (OSError, ValueError, IndexError):
            lines = []
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
        models.append(names[0] if names else number)
    return models


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, by the names of `CUDA_VISIBLE_DEVICES`."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name not in ("", "-1")]
    return [str(number) for number in range(len(list(_NVIDIA.glob("*"))))]


def has_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16."""
    return not _BFLOAT16_FLAGS.isdisjoint(processor_flags())


def has_matrix_units() -> bool:
    """Whether this processor has matrix units for bfloat16, which make it faster than float32."""
    return _MATRIX_UNITS in processor_flags()


def processor_flags() -> list[str]:
    """What the processor can do, by the names of Linux, sorted; empty where it does not tell."""
    try:
        for line in _PROCESSOR.read_text("ascii", "ignore").splitlines():
            if line.startswith(("flags", "Features")):
                return sorted(line.partition(":")[2].split())
    except OSError:
        pass
    return []
