"""What goes to a worker and back: understood only where the same versions are installed."""

import pickle
import socket
import zlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from typing import Any

from malscan.errors import MalscanError
from malscan.versions import versions


def packed(value: object) -> bytes:
    """A value in few bytes, opaque to the scheduler and to workers of other versions."""
    return zlib.compress(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), 1)


def unpacked(data: bytes) -> Any:
    """The value again; to be called after `check_versions`."""
    return pickle.loads(zlib.decompress(data))


def check_versions(expected: Mapping[str, str]) -> None:
    """Refuse, on a worker, to compute with other versions than those of the command.

    Raises:
        MalscanError: it names both, and the worker's host.
    """
    host = socket.gethostname()
    try:
        found = versions()
    except PackageNotFoundError as error:
        raise MalscanError(
            f"the worker on {host} has no {error.name}. Install malscan "
            f"{expected['malscan']} in the environment of the workers."
        ) from None
    other = [name for name, version in expected.items() if found.get(name) != version]
    if other:
        there = ", ".join(f"{name} {found.get(name)}" for name in other)
        here = ", ".join(f"{name} {expected[name]}" for name in other)
        raise MalscanError(
            f"the worker on {host} has {there}, this command {here}. Install the same version "
            "in the environment of the workers."
        )
