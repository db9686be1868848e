"""`detour curl`: the real curl, against a real HTTP server that tells what it was sent."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.running import detour, refusal

PR_42 = "override.route.users=pr-42"


class _Mirror(BaseHTTPRequestHandler):
    """Answers a GET with its headers, and 404 to what begins with /missing."""

    def do_GET(self) -> None:
        body = json.dumps([[key.lower(), value] for key, value in self.headers.items()]).encode()
        self.send_response(404 if self.path.startswith("/missing") else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run the HTTP server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Mirror) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        serving.join()


def sent(*arguments: str, name: str = "baggage") -> list[str]:
    """Run a curl that succeeds; return the values of a header that the server got."""
    done = detour("curl", *arguments)
    assert done.returncode == 0, done.stderr
    return [value for key, value in json.loads(done.stdout) if key == name]


def test_the_header_is_added(url):
    """And nothing else is changed."""
    assert sent("users=pr-42", "delay.payments=300ms", "--", "-s", url) == [
        f"{PR_42},override.delay.payments=300ms"
    ]


def test_the_dashes_may_be_left_out(url):
    """What looks like no override is curl's: an option, a URL, a URL without scheme."""
    assert sent("users=pr-42", url) == [PR_42]
    assert sent("users=pr-42", "-s", "--fail", url) == [PR_42]
    assert sent("users=pr-42", url.removeprefix("http://")) == [PR_42]


def test_options_are_curls_own(url):
    """Also those that Detour has too, or that look like overrides or their end."""
    assert detour("curl", "users=pr-42", "--", "-h").stdout.startswith("Usage: curl")
    assert sent("users=pr-42", "--", "-H", "x-a: b=c", url, name="x-a") == ["b=c"]
    assert sent("users=pr-42", "--", "-s", "--", url) == [PR_42]


@pytest.mark.parametrize(
    "given",
    [
        ["-H", "baggage: tenant=7"],
        ["--header", "Baggage:tenant=7"],
        ["-sH", "BAGGAGE: tenant=7"],
        ["-Hbaggage: tenant=7"],
        ["-H", "x: y", "-H", "baggage: tenant=7"],
    ],
)
def test_baggage_is_appended_to(url, given):
    """However curl was given it, the server gets one header with both."""
    assert sent("users=pr-42", "--", *given, url) == [f"tenant=7,{PR_42}"]


def test_several_baggage_headers_become_one(url):
    """As HTTP allows, and as propagators that read the first only need it."""
    assert sent("users=pr-42", "--", "-H", "baggage: a=1", url, "-H", "baggage: b=2") == [f"a=1,b=2,{PR_42}"]


def test_the_exit_status_is_curls(url):
    """22 for --fail, and a server's 404 without it is none of Detour's business."""
    assert detour("curl", "users=pr-42", "--", "-sf", f"{url}missing").returncode == 22
    assert sent("users=pr-42", f"{url}missing") == [PR_42]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["users=pr-42"], "the URL is missing; write it after the overrides"),
        (["http://127.0.0.1/"], "the overrides are missing; write them first: detour curl users=pr-42 -- URL"),
        (["users=a b", "--", "http://127.0.0.1/"], "'users=a b' is not an override"),
    ],
)
def test_what_is_missing_is_told(here, arguments, line):
    """With an example."""
    assert refusal(here("curl", *arguments)).startswith(line)


def test_a_missing_curl_is_told(tmp_path):
    """With how to get it."""
    line = refusal(detour("curl", "users=pr-42", "--", "http://127.0.0.1/", PATH=str(tmp_path)))
    assert line == "curl is not installed: install it (apt-get install curl), or use detour header"
