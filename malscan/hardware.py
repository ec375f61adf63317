"""What this machine can compute with, found out without loading TensorFlow."""

import os
from pathlib import Path

_PROCESSOR = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_MATRIX_UNITS = "amx_bf16"


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
