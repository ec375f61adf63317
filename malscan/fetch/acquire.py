"""The archive and its mapping files, verified, on this machine."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from malscan.errors import MalscanError, StoppedError
from malscan.fetch.archive import Archive, MappingFile
from malscan.fetch.disk import check_space
from malscan.fetch.download import Downloader, Wanted
from malscan.fetch.http import without_credentials
from malscan.fetch.layout import Layout
from malscan.fetch.listener import FetchListener, Phase, in_bytes, stop_explained
from malscan.fetch.part import Origin, Part
from malscan.fetch.settings import FetchSettings
from malscan.patients import parse_mapping

GROWTH = 1.2
"""Space of the images, to that of their archive: PNG do not shrink, blocks are rounded up."""

_BLOCK = 1 << 20

Slides = dict[str, dict[str, str]]
"""Slide id by image name, for each class."""


@dataclass(frozen=True, slots=True)
class Acquired:
    """An archive that is here and is the one that was asked for.

    Attributes:
        path: where it lies.
        source: where it came from, for people.
        sha256: its hash.
    """

    path: Path
    source: str
    sha256: str


class Acquirer:
    """Gets what a fetch needs, from this machine or over the line."""

    def __init__(self, settings: FetchSettings, layout: Layout, listener: FetchListener) -> None:
        self._settings = settings
        self._archive = settings.archive()
        self._layout = layout
        self._listener = listener
        self._local = _local_archive(settings)
        if self._local is not None and not self._local.is_file():
            raise MalscanError(f"no such file: {self._local}. Check the spelling.")

    def archive(self) -> Acquired:
        """The archive.

        Raises:
            StoppedError: the listener ended it; what came is kept.
            MalscanError: it cannot be had, or what can be had is not the one asked for.
        """
        if self._local is None:
            return self._downloaded()
        sha256 = self._hash(self._local)
        if problem := _mismatch(self._archive, self._local, sha256):
            raise MalscanError(
                f"{self._local} is not the archive asked for: {problem}. Get another copy, or "
                "give --sha256."
            )
        return Acquired(self._local, str(self._local), sha256)

    def slides(self) -> Slides | None:
        """What the mapping files say; None where `--from-file` has none beside it.

        Raises:
            MalscanError: they cannot be had, or are not as published.
        """
        texts = {mapping.label: self._mapping_text(mapping) for mapping in self._archive.mappings}
        if self._settings.from_file and None in texts.values():
            self._listener.on_message(
                f"No mapping files beside {self._local}: the names alone tell slides and patients."
            )
            return None
        return {label: parse_mapping(text) for label, text in texts.items() if text is not None}

    def clear(self) -> None:
        """Remove what was downloaded, or hand it over to the user with `keep_archive`."""
        keep = self._settings.keep_archive or (
            self._local is not None and self._local.resolve().parent == self._layout.dest
        )
        names = [self._layout.archive.name, *(file.name for file in self._archive.mappings)]
        for name in names:
            part = Part(self._layout.dest / name)
            if keep:
                part.release()
            else:
                part.clear()

    def _downloaded(self) -> Acquired:
        path, part = self._layout.archive, Part(self._layout.archive)
        urls = list(self._archive.urls)
        if path.exists():
            if found := self._finished_before(part):
                return found
            self._listener.on_message(f"{path} is another archive; moved to {part.set_aside()}")
        downloader = Downloader(self._settings.patience, self._listener, self._check_space)
        while True:
            earlier = part.size()
            url = downloader.download(Wanted(path, urls, self._archive.sha256, self._archive.size))
            sha256 = self._hash(path)
            problem = _mismatch(self._archive, path, sha256)
            if not problem:
                return Acquired(path, without_credentials(url), sha256)
            if earlier:
                self._listener.on_message(
                    f"The {in_bytes(earlier)} that an earlier run left are damaged: starting again."
                )
                part.clear()
                continue
            said = (
                f"{without_credentials(url)} gave another archive than asked for: {problem}. "
                f"It is kept as {part.set_aside()} for inspection."
            )
            urls = urls[urls.index(url) + 1 :]
            if not urls:
                raise MalscanError(f"{said} If it is the one you want, give its --sha256.")
            self._listener.on_message(f"{said} Trying the next address.")

    def _finished_before(self, part: Part) -> Acquired | None:
        """The download of an earlier run that did not come to its end."""
        origin = part.origin()
        if not self._archive.sha256 and not (origin and _is_from(origin, self._archive.urls)):
            return None
        sha256 = self._hash(part.target)
        if _mismatch(self._archive, part.target, sha256):
            return None
        return Acquired(part.target, origin.url if origin else str(part.target), sha256)

    def _check_space(self, done: int, total: int) -> None:
        # How much a sample takes is known, and asked for, when the archive is here.
        images = 0 if self._settings.sample else round(GROWTH * total)
        check_space(self._layout.dest, {"archive": total - done, "images": images})

    def _mapping_text(self, mapping: MappingFile) -> str | None:
        """The text of a mapping file; None where a local archive has none beside it."""
        path = self._mapping_path(mapping)
        if path is None:
            return None
        data = _read(path)
        sha256 = hashlib.sha256(data).hexdigest()
        if mapping.sha256 not in (None, sha256):
            kept = f" It is kept as {Part(path).set_aside()}." if self._local is None else ""
            raise MalscanError(
                f"{path} is not the published one: sha256 {sha256}, expected {mapping.sha256}."
                f"{kept} Get another copy, or give --no-patients."
            )
        return data.decode("utf-8", errors="replace")

    def _mapping_path(self, mapping: MappingFile) -> Path | None:
        if self._local is not None:
            path = self._local.parent / mapping.name
            if path.is_file() or self._settings.from_file:
                return path if path.is_file() else None
            raise MalscanError(
                f"no {mapping.name} beside {self._local}. Put it there, or give --no-patients."
            )
        path = self._layout.dest / mapping.name
        urls = [urljoin(url, mapping.name) for url in self._archive.urls]
        origin = Part(path).origin()
        if origin and not mapping.sha256 and not _is_from(origin, urls):
            Part(path).clear()
        if not path.exists():
            self._download_mapping(Wanted(path, urls, mapping.sha256))
        return path

    def _download_mapping(self, wanted: Wanted) -> None:
        def space(done: int, total: int) -> None:
            check_space(self._layout.dest, {wanted.target.name: total - done})

        try:
            Downloader(self._settings.patience, self._listener, space).download(wanted)
        except StoppedError:
            raise
        except MalscanError as error:
            raise MalscanError(f"{error} --no-patients does without this file.") from None

    def _hash(self, path: Path) -> str:
        with stop_explained("the archive is kept"):
            return sha256_of(path, self._listener)


def sha256_of(path: Path, listener: FetchListener) -> str:
    """Hash of a file.

    Raises:
        MalscanError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        listener.on_phase(Phase("Checking the sha256", "B", path.stat().st_size))
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                listener.on_progress(file.tell())
    except OSError as error:
        raise MalscanError(f"cannot read {path}: {error.strerror}. Check the file.") from None
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalscanError(f"cannot read {path}: {error.strerror}. Check the file.") from None


def _mismatch(archive: Archive, path: Path, sha256: str) -> str | None:
    """In what a file differs from the archive that was asked for."""
    if archive.sha256 in (None, sha256):
        return None
    size = path.stat().st_size
    expected = f" and {archive.size} bytes" if archive.size else ""
    return f"sha256 {sha256} and {size} bytes, expected {archive.sha256}{expected}"


def _is_from(origin: Origin, urls: Iterable[str]) -> bool:
    return origin.url in map(without_credentials, urls)


def _local_archive(settings: FetchSettings) -> Path | None:
    if settings.url is not None and urlsplit(settings.url).scheme == "file":
        return Path(url2pathname(urlsplit(settings.url).path))
    return settings.from_file
