"""What this machine can compute with, found out without loading TensorFlow."""

import os
from pathlib import Path

_PROCESSOR = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_VECTORS_OF_BFLOAT16 = "avx512_bf16"
_MATRICES_OF_BFLOAT16 = "amx_bf16"
_BFLOAT16_FLAGS = {_VECTORS_OF_BFLOAT16, _MATRICES_OF_BFLOAT16, "bf16"}


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


def has_fast_bfloat16() -> bool:
    """Whether this processor computes faster in bfloat16 than in float32.

    It does with matrix units (AMX). Vectors of bfloat16 alone make AMD's processors faster and
    Intel's slower (`benchmarks/RESULTS.md`, "Precision").
    """
    flags = processor_flags()
    return _MATRICES_OF_BFLOAT16 in flags or (
        _VECTORS_OF_BFLOAT16 in flags and _told("vendor_id") == "AuthenticAMD"
    )


def processor_flags() -> list[str]:
    """What the processor can do, by the names of Linux, sorted; empty where it does not tell."""
    return sorted(_told("flags", "Features").split())


def _told(*names: str) -> str:
    """What Linux tells about the first processor under one of these names."""
    try:
        for line in _PROCESSOR.read_text("ascii", "ignore").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in names:
                return value.strip()
    except OSError:
        pass
    return ""
