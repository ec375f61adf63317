"""One exchange with a server: a request, its answer, and what its failures mean."""

import contextlib
import inspect
import ssl
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3
from requests import exceptions
from urllib3.util import Retry

from malscan import __version__
from malscan.fetch.ticking import while_ticking

_BLOCK = 1 << 20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 60.0


class LineError(Exception):
    """The line failed; another attempt may go better."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        """Say what happened.

        Args:
            reason: for people.
            pause: seconds that the server asks to wait.
        """
        super().__init__(reason)
        self.pause = pause


class AddressError(Exception):
    """The address does not give the file; another attempt would not either."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer.

    Attributes:
        status: 200, 206 or 416.
        length: bytes of the body, where told.
        first: place of the first byte in the whole file, of an answer with 206.
        total: bytes of the whole file, where told.
        validator: what tells this version of the file from others, if anything does.
        blocks: the body.
    """

    status: int
    length: int | None
    first: int | None
    total: int | None
    validator: str | None
    blocks: Iterator[bytes]


class Line:
    """A session; proxies and certificates come from the environment."""

    def __init__(self, timeout: float, tick: Callable[[], object]) -> None:
        self._timeout = timeout
        self._tick = tick
        self._session = requests.Session()
        # A packed body could not be gone on with.
        self._session.headers.update(
            {"User-Agent": f"malscan/{__version__}", "Accept-Encoding": "identity"}
        )

    @contextlib.contextmanager
    def asked(self, url: str, headers: dict[str, str]) -> Iterator[Answer]:
        """The answer to a request.

        Raises:
            LineError: no answer, or one that says to come again.
            AddressError: an answer that says that the file is not there.
        """
        response = next(while_ticking(self._request(url, headers), self._tick))
        blocks = self._blocks(response)
        try:
            _check_status(response)
            yield _answer(response, while_ticking(blocks, self._tick))
        finally:
            # To close under a thread that reads would wait for it; then it is the thread's part.
            if inspect.getgeneratorstate(blocks) == inspect.GEN_CREATED:
                response.close()

    def _request(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        try:
            yield self._session.get(url, headers=headers, stream=True, timeout=self._timeout)
        except (exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            self._explain(error)

    def _blocks(self, response: requests.Response) -> Generator[bytes]:
        try:
            # What is there at once: to wait for a whole block would lose it when the line breaks.
            while block := response.raw.read1(_BLOCK, decode_content=False):
                yield block
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._explain(error)
        finally:
            response.close()

    def _explain(self, error: Exception) -> NoReturn:
        silent = (exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
        if isinstance(error, silent):
            raise LineError(f"nothing came for {self._timeout:g} s") from error
        # Another handshake may go better, but not with the same certificate.
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
            raise AddressError(f"no secure connection: {_plain(error)}") from error
        if isinstance(error, exceptions.TooManyRedirects):
            raise AddressError("it leads in circles") from error
        broken = (exceptions.ConnectionError, exceptions.ChunkedEncodingError)
        if isinstance(error, exceptions.RequestException) and not isinstance(error, broken):
            raise AddressError(_plain(error)) from error
        raise LineError(_plain(error)) from error


def policy(retries: int, backoff: float) -> Retry:
    """When to try again, and after how long a pause."""
    return Retry(total=retries, backoff_factor=backoff, backoff_max=_LONGEST_PAUSE)


def without_credentials(url: str) -> str:
    """An address that can be shown."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status in (200, 206, 416):
        return
    said = f"the server answered {status} {response.reason}".rstrip()
    if status in _TRANSIENT:
        raise LineError(said, _retry_after(response.headers.get("Retry-After")))
    raise AddressError(said)


def _retry_after(value: str | None) -> float:
    try:
        return min(Retry().parse_retry_after(value), _LONGEST_PAUSE) if value else 0.0
    except urllib3.exceptions.InvalidHeader:
        return 0.0


def _answer(response: requests.Response, blocks: Iterator[bytes]) -> Answer:
    headers = response.headers
    length = _number(headers.get("Content-Length"))
    first, total = _content_range(headers.get("Content-Range", ""))
    etag = headers.get("ETag", "")
    # A weak ETag does not promise the same bytes.
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    if response.status_code == 200:
        first, total = None, length
    return Answer(response.status_code, length, first, total, validator, blocks)


def _content_range(value: str) -> tuple[int | None, int | None]:
    """First byte and size of the whole file.

    >>> _content_range("bytes 100-199/2000")
    (100, 2000)
    >>> _content_range("bytes */2000")
    (None, 2000)
    """
    span, _, total = value.removeprefix("bytes ").partition("/")
    return _number(span.partition("-")[0]), _number(total)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None


def _plain(error: BaseException) -> str:
    """The system's own word for what happened, from under the wrappings of the libraries."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    cut = any(isinstance(cause, HTTPException) for cause in causes)
    return "the line was cut" if cut else str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it wraps, the outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, BaseException) and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [*current.args, current.__cause__, current.__context__]
            waiting.append(getattr(current, "reason", None))
