"""A web server on loopback that behaves as badly as it is told to."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BLOCK = 1 << 14


@dataclass
class Manners:
    """How a server behaves, and what it was asked.

    Attributes:
        files: bodies by path.
        ranges: whether `Range` is understood.
        etag: what it says of every file; None says nothing.
        etags: what it says of one answer after the other, before `etag`.
        cuts: after how many bytes the line is cut, for one answer after the other.
        statuses: what is answered first, in turn, in place of a file.
        retry_after: when to come again, as those answers say.
        redirects: where paths lead.
        length_off: added to every Content-Length.
        tells_length: whether there is a Content-Length; else the body is chunked.
        stalls: after how many bytes nothing more comes, for one answer after the other.
        silence: seconds until a line that stalls is cut.
        pause: seconds between two blocks.
        flows: while cleared, nothing comes after the first block of a file.
        obeys_if_range: whether a part of another version is refused.
        asked: path and `Range` of every request, in order.
        conditions: `If-Range` of every request for a file, in order.
        sent: bytes of bodies in all.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = '"first"'
    etags: list[str] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    retry_after: str = "0"
    redirects: dict[str, str] = field(default_factory=dict)
    length_off: int = 0
    tells_length: bool = True
    stalls: list[int] = field(default_factory=list)
    silence: float = 1.5
    pause: float = 0.0
    flows: threading.Event = field(default_factory=threading.Event)
    obeys_if_range: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        self.flows.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    manners: Manners

    def do_GET(self) -> None:
        manners, asked_range = self.manners, self.headers.get("Range")
        manners.asked.append((self.path, asked_range))
        if self.path in manners.redirects:
            self._empty(302, Location=manners.redirects[self.path])
        elif manners.statuses and self.path.endswith(".zip"):
            self._empty(manners.statuses.pop(0), **{"Retry-After": manners.retry_after})
        elif self.path not in manners.files:
            self._empty(404)
        else:
            self._file(manners.files[self.path], asked_range)

    def _file(self, body: bytes, asked_range: str | None) -> None:
        manners, start = self.manners, 0
        if manners.etags:
            manners.etag = manners.etags.pop(0)
        condition = self.headers.get("If-Range")
        manners.conditions.append(condition)
        same = not manners.obeys_if_range or condition in (None, manners.etag)
        if asked_range and manners.ranges and same:
            start = int(asked_range.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self._empty(416, **{"Content-Range": f"bytes */{len(body)}"})
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if manners.etag:
            self.send_header("ETag", manners.etag)
        if manners.tells_length:
            self.send_header("Content-Length", str(len(body) - start + manners.length_off))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._send(body[start:])

    def _send(self, body: bytes) -> None:
        manners = self.manners
        ends = self.path.endswith(".zip")
        cut = manners.cuts.pop(0) if ends and manners.cuts else None
        stall = manners.stalls.pop(0) if ends and manners.stalls else None
        last = min(count for count in (cut, stall, len(body)) if count is not None)
        for start in range(0, last, BLOCK):
            block = body[start : min(start + BLOCK, last)]
            chunk = block if manners.tells_length else b"%x\r\n%s\r\n" % (len(block), block)
            # Counted first: the client may be done before this thread comes to it.
            manners.sent += len(block)
            self.wfile.write(chunk)
            time.sleep(manners.pause)
            manners.flows.wait()
        if stall is not None:
            time.sleep(manners.silence)
        if cut is not None or stall is not None or manners.length_off:
            self.close_connection = True
        elif not manners.tells_length:
            self.wfile.write(b"0\r\n\r\n")

    def _empty(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that leave are what the tests are about


@contextmanager
def serving(manners: Manners, tls: ssl.SSLContext | None = None) -> Iterator[Manners]:
    """Serve on a free port until the context ends; `manners.url` is the root, without a slash."""
    handler = type("Handler", (_Handler,), {"manners": manners})
    server = _Server(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    manners.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    try:
        yield manners
    finally:
        server.shutdown()
        server.server_close()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder, as a server has them."""
    return {f"/{path.name}": path.read_bytes() for path in folder.iterdir() if path.is_file()}
