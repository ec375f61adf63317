"""What a fetch is asked to do, checked; light, so that a usage error is told at once."""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from malscan.errors import UsageError
from malscan.fetch.archive import PUBLISHED, Archive
from malscan.walk import check_paths

ANY_HASH = "none"
DEFAULT_TIMEOUT = 30.0
DEFAULT_RETRIES = 5
_SCHEMES = ("http", "https", "file")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with a bad line.

    Attributes:
        timeout: seconds to wait for a connection, and for any next byte.
        retries: attempts in a row that may bring nothing before an address is given up.
        backoff: seconds; after the first attempt there is no pause, after the second one of
            twice as many, then twice as long each time.

    Raises:
        UsageError: a number is out of its range.
    """

    timeout: float = DEFAULT_TIMEOUT
    retries: int = DEFAULT_RETRIES
    backoff: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= 86_400:
            raise UsageError(f"--timeout {self.timeout:g} is not between 0 and 86400 seconds")
        if not 0 <= self.retries <= 1000:
            raise UsageError(f"--retries {self.retries} is not between 0 and 1000")


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """What to fetch, from where, and where to.

    Attributes:
        dest: folder that gets `cell_images` and `patients.csv`; made when missing.
        url: address of the archive (http, https or file) in place of the published ones.
        from_file: archive that is here already, in place of a download.
        sha256: hash that the archive must have; None for the published one's, `none` for any.
        sample: keep the fewest whole patients, in a fixed order, that hold this many images.
        patients: fetch the mapping files, too, and make `patients.csv` of them.
        keep_archive: keep what was downloaded after unpacking.
        patience: how long to bear with a bad line.
        published: what is known of the published archive.

    Raises:
        UsageError: options that exclude each other, an address or hash that cannot be one, or a
            file that does not exist.
    """

    dest: Path
    url: str | None = None
    from_file: Path | None = None
    sha256: str | None = None
    sample: int | None = None
    patients: bool = True
    keep_archive: bool = False
    patience: Patience = field(default_factory=Patience)
    published: Archive = PUBLISHED

    def __post_init__(self) -> None:
        if self.url is not None and self.from_file is not None:
            raise UsageError("--url and --from-file exclude each other. Give one of them.")
        if self.url is not None:
            _check_url(self.url)
        if self.from_file is not None:
            check_paths([str(self.from_file)])
            if self.from_file.is_dir():
                raise UsageError(f"--from-file {self.from_file} is a folder. Name the ZIP.")
        if self.sha256 not in (None, ANY_HASH) and not _SHA256.fullmatch(self.sha256.lower()):
            raise UsageError(
                f"--sha256 {self.sha256} is no hash. Give 64 hexadecimal digits, or '{ANY_HASH}'."
            )
        if self.sample is not None and self.sample < 1:
            raise UsageError(f"--sample {self.sample} is not at least 1")
        _check_dest(self.dest)

    def archive(self) -> Archive:
        """The archive to fetch, with what is known of it."""
        known = self.published
        wanted = self.sha256.lower() if self.sha256 else known.sha256
        if wanted != known.sha256:
            known = known.another(None if wanted == ANY_HASH else wanted)
        return replace(known, urls=(self.url,)) if self.url else known


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """Which folder to check, and how closely.

    Attributes:
        dest: folder that holds `cell_images`.
        decode: decode every image, too.
        published: what is known of the published archive.

    Raises:
        UsageError: no such folder.
    """

    dest: Path
    decode: bool = False
    published: Archive = PUBLISHED

    def __post_init__(self) -> None:
        check_paths([str(self.dest)])
        _check_dest(self.dest)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.path if _is_file(url) else parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"--url {url} is no address. Give http://, https:// or file:///.")


def _is_file(url: str) -> bool:
    return urlsplit(url).scheme == "file"


def _check_dest(dest: Path) -> None:
    # Not the methods of Path, which raise where a folder above may not be entered.
    if os.path.exists(dest) and not os.path.isdir(dest):  # noqa: PTH110, PTH112
        raise UsageError(f"{dest} is no folder. Name a folder.")
