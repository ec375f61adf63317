"""Where the data set lies when nobody says where."""

import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_data_path

from malscan.errors import UsageError

VARIABLE = "MALSCAN_DATA"
CELLS = "cell_images"
"""Name of the folder that holds the two class folders."""


def data_folder() -> Path:
    """The folder that `MALSCAN_DATA` names, else malscan's place among the user's data.

    Raises:
        UsageError: neither `HOME` nor the system says where those are.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    # Where no home is known, older versions of platformdirs give a folder named `~`.
    with suppress(RuntimeError):
        folder = user_data_path("malscan")
        if folder.is_absolute():
            return folder
    raise UsageError(
        f"no folder given, and no home folder is known. Name a folder, or set {VARIABLE}."
    )


def default_cells() -> Path:
    """The labelled cells that `malscan fetch` put into the default place.

    Raises:
        UsageError: nothing was fetched there, or there is no such place.
    """
    cells = data_folder() / CELLS
    if not cells.is_dir():
        raise UsageError(
            f"no DATA given and nothing in {cells}. Run `malscan fetch` first, or name a folder."
        )
    return cells
