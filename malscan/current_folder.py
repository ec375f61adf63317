"""The folder that relative paths start from."""

import os


def current_folder() -> bytes:
    """Where relative paths start from; nowhere, if that folder has been removed."""
    try:
        return os.getcwdb()  # noqa: PTH109
    except OSError:
        return b""
