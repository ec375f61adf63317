"""What was unpacked: kept beside the images, so that what is missing or strange can be told."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from malscan.atomic import write_atomically

SCHEMA = "malscan.fetch/1"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder must hold.

    Attributes:
        source: where the archive came from, for people.
        sha256: of the archive.
        sample: the number that was asked for; None where all images were unpacked.
        images: size in bytes by place, `Parasitized/NAME` or `Uninfected/NAME`.
        patients_sha256: of `patients.csv`; None where there is none.
    """

    source: str
    sha256: str
    sample: int | None
    images: Mapping[str, int]
    patients_sha256: str | None = None

    def write(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            MalscanError: it cannot be written there.
        """
        write_atomically(path, json.dumps({"schema": SCHEMA, **asdict(self)}, indent=0) + "\n")


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None where there is none, or it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.pop("schema") != SCHEMA:
            return None
        manifest = Manifest(**record)
        sizes = manifest.images.values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if all(isinstance(size, int) for size in sizes) else None
