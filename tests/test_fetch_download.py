"""Downloads from servers that behave badly: whole in the end, never fetched twice."""

import hashlib
import random
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers import Manners, serving

from malscan.errors import ExitCode, MalscanError, StoppedError
from malscan.fetch.disk import check_space
from malscan.fetch.download import Downloader, Wanted
from malscan.fetch.listener import FetchListener, Phase
from malscan.fetch.part import Origin, Part
from malscan.fetch.settings import Patience

BODY = random.Random(5).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(timeout=0.4, retries=3, backoff=0.01)


@pytest.fixture
def server() -> Iterator[Manners]:
    with serving(Manners({"/a.zip": BODY})) as manners:
        yield manners


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def downloader(messages: list[str]) -> Downloader:
    return Downloader(QUICK, FetchListener(on_message=messages.append))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a.zip"


def wanted(target: Path, server: Manners) -> Wanted:
    return Wanted(target, [f"{server.url}/a.zip"])


def test_a_file_comes_whole_and_alone(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert sorted(path.name for path in target.parent.iterdir()) == [".a.zip.json", "a.zip"]
    assert server.asked == [("/a.zip", None)]


def test_after_cuts_it_goes_on_where_it_stopped(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.cuts = [100_000, 50_000]

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert server.asked == [
        ("/a.zip", None),
        ("/a.zip", "bytes=100000-"),
        ("/a.zip", "bytes=150000-"),
    ]
    assert server.sent == len(BODY)


def test_progress_renews_patience(downloader: Downloader, server: Manners, target: Path) -> None:
    server.cuts = [10_000] * 20

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert len(server.asked) == 21


def test_a_server_without_ranges_starts_again(
    downloader: Downloader, server: Manners, target: Path, messages: list[str]
) -> None:
    server.ranges = False
    server.cuts = [100_000, 200_000]

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert server.sent == len(BODY) + 300_000
    assert "The server starts again from the first byte." in messages


def test_a_server_without_ranges_that_always_cuts_is_given_up(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.ranges = False
    server.cuts = [100_000] * 50

    with pytest.raises(MalscanError, match="the line was cut, and 3 attempts more"):
        downloader.download(wanted(target, server))

    assert len(server.asked) == QUICK.retries + 1


def test_a_file_that_never_stays_the_same_is_given_up(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    # Every second attempt brings something, and the next one has to start again.
    server.etags = [f'"{count // 2}"' for count in range(1, 50)]
    server.cuts = [10_000] * 50

    with pytest.raises(MalscanError, match="cannot go on where it stopped"):
        downloader.download(wanted(target, server))

    assert len(server.asked) < 12


def test_an_earlier_run_is_gone_on_with(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    origin = Origin(f"{server.url}/a.zip", '"first"', len(BODY))
    Part(target).begin(origin)
    Part(target).path.write_bytes(BODY[:299_000])

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert server.sent == 1000


def test_what_is_complete_needs_no_server(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    Part(target).begin(Origin(f"{server.url}/a.zip", '"first"', len(BODY)))
    Part(target).path.write_bytes(BODY)

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert server.asked == []


@pytest.mark.parametrize("obeys", [True, False])
@pytest.mark.parametrize("size", [200_000, 299_999])
def test_a_file_that_changed_meanwhile_starts_again(
    downloader: Downloader, server: Manners, target: Path, size: int, obeys: bool
) -> None:
    server.obeys_if_range = obeys
    Part(target).begin(Origin(f"{server.url}/a.zip", '"older"', len(BODY)))
    Part(target).path.write_bytes(b"x" * size)

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert server.conditions[0] == '"older"'


def test_a_weak_etag_does_not_promise_the_same_bytes(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.etag = 'W/"first"'
    server.cuts = [100_000]

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert [asked for _, asked in server.asked] == [None, None]


def test_a_part_that_is_too_long_is_not_trusted(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    Part(target).begin(Origin(f"{server.url}/a.zip", '"first"', len(BODY)))
    Part(target).path.write_bytes(BODY + b"more")

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert server.asked == [("/a.zip", None)]


def test_what_came_is_on_the_disk_at_once(target: Path) -> None:
    part = Part(target)
    part.begin(Origin("http://a/a.zip", None, 3))
    with part.open() as file:
        part.append(file, b"12", None)
        assert part.path.read_bytes() == b"12"


def test_a_file_that_became_shorter_starts_again(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.etag = None
    Part(target).begin(Origin(f"{server.url}/a.zip", None, 400_000))
    Part(target).path.write_bytes(b"x" * 350_000)

    downloader.download(replace(wanted(target, server), sha256=SHA256))

    assert target.read_bytes() == BODY
    assert server.asked[0] == ("/a.zip", "bytes=350000-")


def test_without_validator_or_hash_a_part_is_not_trusted(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.etag = None
    server.cuts = [100_000]

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert [asked for _, asked in server.asked] == [None, None]


def test_a_part_without_its_record_is_not_trusted(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    target.with_name("a.zip.part").write_bytes(b"x" * 1000)

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY


def test_with_a_known_hash_another_address_goes_on_where_the_first_stopped(
    downloader: Downloader, server: Manners, target: Path, messages: list[str]
) -> None:
    with serving(Manners({"/b.zip": BODY}, etag='"elsewhere"')) as other:
        server.cuts = [120_000, 0, 0, 0, 0, 0]

        downloader.download(
            Wanted(target, [f"{server.url}/a.zip", f"{other.url}/b.zip"], SHA256, len(BODY))
        )

    assert target.read_bytes() == BODY
    assert other.asked == [("/b.zip", "bytes=120000-")]
    assert any("Trying the next address" in text for text in messages)


@pytest.mark.parametrize("size", [1000, len(BODY)])
def test_without_a_hash_another_address_starts_again(
    downloader: Downloader, server: Manners, target: Path, size: int
) -> None:
    Part(target).begin(Origin("http://elsewhere/a.zip", '"first"', len(BODY)))
    Part(target).path.write_bytes(b"x" * size)

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert server.asked == [("/a.zip", None)]


@pytest.mark.parametrize("status", [503, 500, 429])
def test_a_server_that_is_busy_is_asked_again(
    downloader: Downloader, server: Manners, target: Path, messages: list[str], status: int
) -> None:
    server.statuses = [status, status]

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert len(server.asked) == 3
    assert any(str(status) in text for text in messages)


@pytest.mark.parametrize(("says", "pause"), [("1", 1.0), ("soon", 0.0)])
def test_a_server_may_say_when_to_come_again(
    downloader: Downloader,
    server: Manners,
    target: Path,
    messages: list[str],
    says: str,
    pause: float,
) -> None:
    server.statuses, server.retry_after = [503], says
    start = time.monotonic()

    downloader.download(wanted(target, server))

    assert time.monotonic() - start >= pause
    wait = " in 1 s" if pause else ""
    assert messages == [f"The server answered 503 Service Unavailable; trying again{wait}."]


def test_a_server_that_stays_busy_is_given_up(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.statuses = [503] * 20

    with pytest.raises(MalscanError, match=r"503 .*3 attempts more") as caught:
        downloader.download(wanted(target, server))

    assert len(server.asked) == QUICK.retries + 1
    assert "run the same command again" in str(caught.value)


def test_impatience_asks_once(server: Manners, target: Path) -> None:
    server.statuses = [503]

    with pytest.raises(MalscanError, match=r"answered 503 Service Unavailable\. Check"):
        Downloader(Patience(retries=0)).download(wanted(target, server))

    assert len(server.asked) == 1


def test_impatience_still_starts_again_where_an_earlier_run_was_cut(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.ranges = False
    server.cuts = [100_000]
    with pytest.raises(MalscanError, match="the line was cut"):
        Downloader(Patience(retries=0)).download(wanted(target, server))

    Downloader(Patience(retries=0)).download(wanted(target, server))

    assert target.read_bytes() == BODY


def test_a_missing_file_is_told_at_once(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    with pytest.raises(MalscanError, match="404 Not Found") as caught:
        downloader.download(Wanted(target, [f"{server.url}/nothing.zip"]))

    assert f"{server.url}/nothing.zip" in str(caught.value)
    assert len(server.asked) == 1
    assert list(target.parent.iterdir()) == []


def test_a_redirect_is_followed(downloader: Downloader, server: Manners, target: Path) -> None:
    server.redirects = {"/old.zip": "/a.zip"}

    downloader.download(Wanted(target, [f"{server.url}/old.zip"]))

    assert target.read_bytes() == BODY


def test_a_redirect_in_a_circle_is_told(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.redirects = {"/a.zip": "/a.zip"}

    with pytest.raises(MalscanError, match="circles"):
        downloader.download(wanted(target, server))


def test_a_silent_line_is_left_and_gone_on_with(
    downloader: Downloader, server: Manners, target: Path, messages: list[str]
) -> None:
    server.stalls = [100_000]

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert server.asked[1] == ("/a.zip", "bytes=100000-")
    assert "Nothing came for 0.4 s after 100.0 kB; trying again." in messages


def test_a_body_shorter_than_announced_is_a_cut(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.length_off = 50

    with pytest.raises(MalscanError, match="are kept, and the same command goes on"):
        downloader.download(wanted(target, server))

    assert not target.exists()
    assert Part(target).size() == len(BODY)


def test_without_a_length_the_end_of_the_body_is_the_end(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.tells_length = False

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY


def test_without_a_length_a_cut_is_seen_too(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    server.tells_length = False
    server.cuts = [100_000]

    downloader.download(wanted(target, server))

    assert target.read_bytes() == BODY
    assert len(server.asked) == 2


def test_a_file_that_is_too_large_is_not_read(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    with pytest.raises(MalscanError, match=r"offers 300.0 kB, not 299.0 kB"):
        downloader.download(replace(wanted(target, server), size=299_000))

    assert not Part(target).path.exists()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Manners]:
    """The same over TLS, with a certificate that nobody vouches for."""
    pem = tmp_path / "tls" / "tls.pem"
    pem.parent.mkdir()
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    try:
        subprocess.run(
            [*new, "-keyout", pem, "-out", f"{pem}.crt"], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl here to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pem}.crt", pem)
    with serving(Manners({"/a.zip": BODY}), context) as manners:
        yield manners


def test_over_tls_it_goes_on_where_it_stopped(
    downloader: Downloader,
    secure: Manners,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(target.parent / "tls/tls.pem.crt"))
    secure.cuts = [100_000]

    downloader.download(wanted(target, secure))

    assert target.read_bytes() == BODY
    assert secure.asked == [("/a.zip", None), ("/a.zip", "bytes=100000-")]


def test_an_unknown_certificate_is_told_at_once(
    downloader: Downloader, secure: Manners, target: Path, messages: list[str]
) -> None:
    with pytest.raises(MalscanError, match=r"no secure connection: .*self.signed"):
        downloader.download(wanted(target, secure))

    assert messages == []


def test_nobody_there_is_told_in_plain_words(downloader: Downloader, target: Path) -> None:
    with serving(Manners()) as gone:
        url = f"{gone.url}/a.zip"

    with pytest.raises(MalscanError, match="Connection refused, and 3 attempts") as caught:
        downloader.download(Wanted(target, [url]))

    assert "HTTPConnectionPool" not in str(caught.value)


def test_a_password_in_an_address_is_never_shown(
    downloader: Downloader, server: Manners, target: Path
) -> None:
    url = server.url.replace("http://", "http://me:secret@")
    downloader.download(Wanted(target, [f"{url}/a.zip"]))
    with pytest.raises(MalscanError) as caught:
        downloader.download(Wanted(target.with_name("b.zip"), [f"{url}/b.zip"]))

    assert "secret" not in str(caught.value)
    assert "secret" not in target.with_name(".a.zip.json").read_text()


def test_a_stop_keeps_what_came_and_is_heard_while_the_line_is_silent(
    server: Manners, target: Path
) -> None:
    server.stalls, server.silence = [100_000], 30

    def stop(done: int) -> None:
        if done >= 100_000:
            raise StoppedError(ExitCode.TERMINATED, "terminated")

    slow = Downloader(Patience(timeout=60), FetchListener(on_progress=stop))
    start = time.monotonic()
    with pytest.raises(StoppedError, match=r"terminated; 100.0 kB are kept") as caught:
        slow.download(wanted(target, server))

    assert time.monotonic() - start < 10
    assert caught.value.exit_code == 143
    assert Part(target).path.read_bytes() == BODY[:100_000]


def test_phases_tell_what_is_here_already(server: Manners, target: Path) -> None:
    server.cuts = [100_000]
    phases: list[Phase] = []

    Downloader(QUICK, FetchListener(on_phase=phases.append)).download(wanted(target, server))

    assert [(phase.done, phase.total) for phase in phases] == [
        (0, len(BODY)),
        (100_000, len(BODY)),
    ]


def test_space_is_asked_for_before_the_first_byte(server: Manners, target: Path) -> None:
    def check(done: int, total: int) -> None:
        check_space(target.parent, {"archive": (total - done) * 10**12})

    with pytest.raises(MalscanError, match="not enough space") as caught:
        Downloader(QUICK, check_space=check).download(wanted(target, server))

    assert "archive 300000.0 TB, reserve 64.0 MB" in str(caught.value)
    assert Part(target).size() == 0


def test_a_stream_without_end_stops_before_the_disk_is_full(server: Manners, target: Path) -> None:
    server.tells_length = False

    def check(done: int, total: int) -> None:
        if total > 100_000:
            raise MalscanError("not enough space")

    with pytest.raises(MalscanError, match="not enough space"):
        Downloader(QUICK, check_space=check).download(wanted(target, server))

    assert 0 < Part(target).size() <= 100_000


def test_proxies_come_from_the_environment(
    downloader: Downloader, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Manners({"http://far.invalid/a.zip": BODY})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        downloader.download(Wanted(target, ["http://far.invalid/a.zip"]))

    assert target.read_bytes() == BODY
