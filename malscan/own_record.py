"""Which files malscan wrote itself, by what they say: only its own folders are replaced."""

import json
from pathlib import Path


def is_own_record(path: Path, kind: str) -> bool:
    """Whether a file is JSON that malscan wrote to describe something of this kind.

    Args:
        path: the file; it may be missing.
        kind: what stands between `malscan.` and the version in the `schema` of such a file.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and str(found.get("schema")).startswith(f"malscan.{kind}/")
