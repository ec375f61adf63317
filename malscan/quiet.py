"""Keeps the messages of native libraries away from the user."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

from malscan.streams import messages_to


@contextlib.contextmanager
def native_output_hidden(hidden: bool = True) -> Iterator[None]:
    """Send what native code writes to stderr to nowhere, and leave Python's stderr as it is.

    TensorFlow and libjpeg write to file descriptor 2 directly, some of it before any setting
    could silence them. Python's own stderr is moved to a copy of the descriptor meanwhile.
    Warnings that libraries give to developers are hidden as well.

    Args:
        hidden: False changes nothing.
    """
    if not hidden or sys.stderr is None:  # None where the command was started with 2>&-
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Of a file that it refuses, Pillow tells the log as well as the caller.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    sys.stderr.flush()
    kept = os.dup(2)
    python_stderr = sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        sys.stderr = messages_to(os.dup(kept))
        os.dup2(nowhere, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.close()
        sys.stderr = python_stderr
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
