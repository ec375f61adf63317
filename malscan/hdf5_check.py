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
from pathlib import Path
from typing import Any

import h5py

MAX_ARRAY_BYTES = 10**9
MAX_OBJECTS = 200_000
SPARE_MEMORY = 256 * 2**20
"""What reading may take beside the arrays: compressed blocks that swell, and texts."""
_PAGE = resource.getpagesize()


class _RefusedError(Exception):
    """Why the file is not taken."""


def main() -> None:
    """Check the file on stdin and print what was found."""
    try:
        content = sys.stdin.buffer.read()
        _limit_memory(len(content))
        with h5py.File(io.BytesIO(content), "r") as file:
            arrays = list(_arrays(file))
            size = sum(array.size * array.dtype.itemsize for _, array in arrays)
            if size > MAX_ARRAY_BYTES:
                raise _RefusedError("its arrays are larger than 1 GB")
            found = {**_facts(file), "bytes": size}
            # A block of an array can claim to be larger than the array, and pack a lot of nothing.
            _limit_memory(2 * size)
            for place, array in arrays:
                _read(place, array)
    except _RefusedError as error:
        found = {"refused": str(error)}
    sys.stdout.write(json.dumps(found))


def _limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has, and some to spare."""
    taken = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * _PAGE
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = taken + more + SPARE_MEMORY
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _read(place: str, array: h5py.Dataset) -> None:
    try:
        array[()]
    except MemoryError:
        raise _RefusedError(f"its part {place} takes more memory than it has numbers") from None


def _facts(file: h5py.File) -> dict[str, Any]:
    config = file.attrs.get("model_config")
    if isinstance(config, bytes):
        config = config.decode()
    if config is not None and not isinstance(config, str):
        raise _RefusedError("its config is no text")
    weights = "layer_names" in file.attrs or "layers" in file or "model_weights" in file
    return {"config": config, "weights": weights}


def _arrays(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """All arrays, after refusing links, other files, and data that is not numbers."""
    for place, part in _parts(file):
        for name in part.attrs:
            part.attrs[name]
        if isinstance(part, h5py.Group):
            continue
        if not isinstance(part, h5py.Dataset) or part.dtype.kind not in "fiub":
            raise _RefusedError(f"its part {place} is not an array of numbers")
        if part.external or part.is_virtual:
            raise _RefusedError(f"its part {place} lies in another file")
        yield place, part


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
