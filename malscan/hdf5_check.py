"""A process of its own that reads the whole of an HDF5 file on stdin before anyone else does.

The HDF5 library can crash, hang or fill the memory on a damaged file, and no signal handler of
Python runs meanwhile. So this file is run as a script, with limits, by `malscan.foreign`. It
prints one JSON object: either `refused`, the reason, or `config`, the text of the attribute
`model_config` or null, and `weights`, whether the file looks like one with weights. It imports
nothing of malscan, since it runs without it on its path.
"""

import io
import json
import resource
import sys
from collections.abc import Iterator
from typing import Any

import h5py

MAX_ARRAY_BYTES = 10**9
MAX_OBJECTS = 200_000
MAX_MEMORY = 6 * 10**9


class _RefusedError(Exception):
    """Why the file is not taken."""


def main() -> None:
    """Check the file on stdin and print what was found."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        with h5py.File(io.BytesIO(sys.stdin.buffer.read()), "r") as file:
            _check(file)
            found = _facts(file)
    except _RefusedError as error:
        found = {"refused": str(error)}
    sys.stdout.write(json.dumps(found))


def _facts(file: h5py.File) -> dict[str, Any]:
    config = file.attrs.get("model_config")
    if isinstance(config, bytes):
        config = config.decode()
    if config is not None and not isinstance(config, str):
        raise _RefusedError("its config is no text")
    weights = "layer_names" in file.attrs or "layers" in file or "model_weights" in file
    return {"config": config, "weights": weights}


def _check(file: h5py.File) -> None:
    """Refuse links, other files, and data that is not numbers or grows when it is read."""
    size = 0
    for place, part in _parts(file):
        for name in part.attrs:
            part.attrs[name]
        if isinstance(part, h5py.Group):
            continue
        if not isinstance(part, h5py.Dataset) or part.dtype.kind not in "fiub":
            raise _RefusedError(f"its part {place} is not an array of numbers")
        if part.external or part.is_virtual:
            raise _RefusedError(f"its part {place} lies in another file")
        size += part.size * part.dtype.itemsize
        if size > MAX_ARRAY_BYTES:
            raise _RefusedError("its arrays are larger than 1 GB")
        part[()]


def _parts(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """Everything in the file with a printable name; a group that holds itself comes once."""
    seen: set[int] = set()
    todo = [("'/'", file)]
    links = 0
    while todo:
        place, group = todo.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        yield place, group
        for name in group:
            place = ascii(name)[:60]
            links += 1
            if links > MAX_OBJECTS:
                raise _RefusedError(f"it holds over {MAX_OBJECTS:,} objects")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _RefusedError(f"its part {place} is a link, perhaps to another file")
            part = group[name]
            if isinstance(part, h5py.Group):
                todo.append((place, part))
            else:
                yield place, part


if __name__ == "__main__":
    main()
