"""Whether there is enough memory to begin at all."""

import resource

from malscan.errors import MalscanError

LEAST_ADDRESS_SPACE = 2_900_000_000
"""Bytes of addresses below which TensorFlow dies or hangs while it is loaded; on machines with
many cores it takes more."""


def check_address_space() -> None:
    """Refuse a limit under which TensorFlow would hang without a word.

    Raises:
        MalscanError: the limit is too low.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise MalscanError(
            f"not enough memory: this job is limited to {limit / 1e9:.1f} GB of addresses "
            f"(ulimit -v), and TensorFlow takes {LEAST_ADDRESS_SPACE / 1e9:.1f} GB or more. "
            "Raise the limit."
        )
