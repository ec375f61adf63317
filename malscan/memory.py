"""Memory when TensorFlow is loaded: whether there is enough, and that its modules stay."""

import gc
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from malscan.errors import MalscanError

LEAST_ADDRESS_SPACE = 2_900_000_000
"""Bytes of addresses below which TensorFlow dies or hangs while it is loaded; on machines with
many cores it takes more."""


@contextmanager
def loading_tensorflow() -> Iterator[None]:
    """Import TensorFlow, and what needs it, within.

    Modules are not garbage: Python looks for none while they are loaded, and never again among
    what they are made of. Else it would go through all of that time and again: while it grows,
    during a scan, and at the end. Nothing is changed in a process that has TensorFlow already:
    what is in its memory is not malscan's alone.

    Raises:
        MalscanError: the limit on addresses is too low.
    """
    _check_address_space()
    if "tensorflow" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _check_address_space() -> None:
    """Refuse a limit under which TensorFlow would hang without a word."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise MalscanError(
            f"not enough memory: this job is limited to {limit / 1e9:.1f} GB of addresses "
            f"(ulimit -v), and TensorFlow takes {LEAST_ADDRESS_SPACE / 1e9:.1f} GB or more. "
            "Raise the limit."
        )
