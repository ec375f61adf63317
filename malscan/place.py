"""Where the data set lies when nobody says where."""

import os
from pathlib import Path

from platformdirs import user_data_path

from malscan.errors import UsageError

VARIABLE = "MALSCAN_DATA"
CELLS = "cell_images"
"""Name of the folder that holds the two class folders."""


def data_folder() -> Path:
    """The folder that `MALSCAN_DATA` names, else malscan's place among the user's data."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    return user_data_path("malscan")


def default_cells() -> Path:
    """The labelled cells that `malscan fetch` put into the default place.

    Raises:
        UsageError: nothing was fetched there.
    """
    cells = data_folder() / CELLS
    if not cells.is_dir():
        raise UsageError(
            f"no DATA given and nothing in {cells}. Run `malscan fetch` first, or name a folder."
        )
    return cells
