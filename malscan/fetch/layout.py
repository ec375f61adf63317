"""Where everything lies in the folder that is fetched into."""

from dataclasses import dataclass
from pathlib import Path

from malscan.place import CELLS


@dataclass(frozen=True, slots=True)
class Layout:
    """The places in `dest`.

    Attributes:
        dest: the folder that is fetched into.
    """

    dest: Path

    @property
    def cells(self) -> Path:
        """The two class folders."""
        return self.dest / CELLS

    @property
    def patients(self) -> Path:
        """The clean table of patients."""
        return self.dest / "patients.csv"

    @property
    def manifest(self) -> Path:
        """What was unpacked."""
        return self.dest / f"{CELLS}.json"

    @property
    def archive(self) -> Path:
        """The download."""
        return self.dest / f"{CELLS}.zip"

    @property
    def unpacking(self) -> Path:
        """The class folders while they are not complete."""
        return self.dest / f".{CELLS}.partial"

    @property
    def replaced(self) -> Path:
        """Older class folders, while newer ones take their place."""
        return self.dest / f".{CELLS}.replaced.partial"
