"""What the probabilities and calls of a scan follow from, apart from the images."""

import hashlib
import os
import platform
from collections.abc import Mapping

from malscan.hardware import gpus_to_use, processor_flags
from malscan.model import Model
from malscan.report.interface import ScanFacts
from malscan.versions import version_of, versions

Fingerprint = Mapping[str, str]
"""Words for people to values that must be the same."""


_ONEDNN = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA")
"""What of the environment has results rounded otherwise."""


def fingerprint(
    model: Model, facts: ScanFacts, *, device: str = "auto", on_cluster: bool = False
) -> Fingerprint:
    """All that must be the same for results of an earlier run to be taken over.

    Args:
        model: the model that is used.
        facts: the settings that reports state.
        device: what was asked to be computed on.
        on_cluster: whether any processor of a cluster may have computed any image.
    """
    settings = {
        "threshold": facts.threshold,
        "doubt band": facts.uncertain,
        "batch size": facts.batch_size,
        "precision": facts.precision,
        "size limit": not facts.any_size,
    }
    decoders = {name: version_of(name) for name in ("isal", "pillow", "simplejpeg")}
    all_versions = {**versions(), **decoders}
    wordy = {f"version of {name}": number for name, number in all_versions.items()}
    # How a Keras file is fed stands in no digest of the file.
    fed = repr((model.kernel, model.rescale, model.class_order))
    return {
        "model": model.sha256,
        "preprocessing": fed,
        **{name: repr(value) for name, value in settings.items()},
        **wordy,
        "device": device if on_cluster else _device(device),
        "oneDNN": "any" if on_cluster else repr([os.environ.get(name) for name in _ONEDNN]),
        "processor": "any" if on_cluster else _processor(),
        "number of processor cores": "any" if on_cluster else str(len(os.sched_getaffinity(0))),
    }


def changed(before: Fingerprint, now: Fingerprint) -> list[str]:
    """Names of what is not the same."""
    return [name for name in {**now, **before} if before.get(name) != now.get(name)]


def _device(device: str) -> str:
    """What is computed on, as far as that can be told without TensorFlow."""
    gpus = gpus_to_use(device)
    return f"{device} of {', '.join(gpus)}" if gpus else "cpu"


def _processor() -> str:
    """What the processor can do: the libraries choose their code, and its rounding, by it."""
    flags = " ".join(processor_flags())
    return f"{platform.machine()} {hashlib.sha256(flags.encode()).hexdigest()[:16]}"
