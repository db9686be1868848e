"""From a saved scenario to an open link: the server, an edge and a browser's requests, as people run them."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
import zxingcpp

from cli.running import Server, detour, refusal, running, serving, wait_until
from ports import free_port

MESH = """\
edge:
  hosts: {{"*": web}}
  previews: {{preview.example.test: web}}
  url: http://127.0.0.1:{edge}
services:
  web:
    endpoints: ["{web}"]
    deployments:
      pr-1: {{endpoints: ["{web}"]}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """Run a server and an edge; the service behind it is the server's own API, which answers GET /healthz."""
    folder = tmp_path_factory.mktemp("previews")
    path = folder / "mesh" / "mesh.yaml"
    path.parent.mkdir()
    port = free_port()
    path.write_text(MESH.format(edge=port, web="127.0.0.1:9"))
    with ExitStack() as stack:
        server = stack.enter_context(serving(path))
        path.write_text(MESH.format(edge=port, web=server.url.removeprefix("http://")))
        options = ("--listen", f"127.0.0.1:{port}", "--admin-port", str(free_port()), "--control-plane", server.xds)
        edge = stack.enter_context(running(folder / "edge.log", "edge", *options))
        edge.wait_for("Edge at")
        wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200)
        yield server, f"http://127.0.0.1:{port}"


def shared(server: Server, name: str) -> list[str]:
    """Return the links of a scenario."""
    said = server.detour("scenario", "share", name)
    assert said.returncode == 0, said.stderr
    return re.findall(r"^link +(\S+)$", said.stdout, re.MULTILINE)


def test_a_link_from_save_to_removal(mesh):
    """It leads into the scenario, follows its changes, and says when it is over."""
    server, edge = mesh
    assert server.detour("scenario", "save", "redesign", "web=pr-1").returncode == 0
    preview, query = shared(server, "redesign")
    said = server.detour("scenario", "share", "redesign").stderr
    assert "?...=redesign applies to 127.0.0.1 only" in said
    port = edge.rpartition(":")[2]
    assert (preview, query) == (f"http://redesign.preview.example.test:{port}/", f"{edge}/?detour=redesign")

    with httpx.Client(trust_env=False, follow_redirects=True) as browser:

        def by_host() -> httpx.Response:
            return browser.get(f"{edge}/healthz", headers={"host": f"redesign.preview.example.test:{port}"})

        def by_link() -> httpx.Response:
            return browser.get(f"{edge}/healthz")

        browser.get(query.replace("/?", "/healthz?"))
        assert browser.cookies["detour"] == "redesign"
        for ask in (by_host, by_link):
            wait_until(lambda ask=ask: ask().headers.get("x-detour-served-by") == "web@pr-1")
        server.detour("scenario", "edit", "redesign", "web=pr-2", "--force")
        for ask in (by_host, by_link):
            wait_until(lambda ask=ask: ask().status_code == 503)
        server.detour("scenario", "rm", "redesign")
        for ask in (by_host, by_link):
            wait_until(lambda ask=ask: ask().status_code == 410)
            assert "The scenario redesign has ended" in ask().text
        assert browser.get(f"{edge}/healthz?detour=").json() == {"status": "ok"}
        assert "detour" not in browser.cookies


def test_a_link_for_a_phone(mesh):
    """What is drawn on the terminal is what a phone's camera reads."""
    server, _ = mesh
    server.detour("scenario", "save", "phone", "web=pr-1")
    link, _ = shared(server, "phone")
    drawn = server.detour("scenario", "share", "phone", "--qr").stdout
    (read,) = zxingcpp.read_barcodes(_pixels(re.findall("^[█▀▄ ]{20,}$", drawn, re.MULTILINE)))
    assert read.text == link


def _pixels(lines: list[str]) -> memoryview:
    """Return half blocks as grey values: each is two pixels, one above the other, drawn in squares of 4 by 4."""
    light = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
    rows = [[light[one][half] for one in line] for line in lines for half in (0, 1)]
    drawn = [value for row in rows for _ in range(4) for value in row for _ in range(4)]
    return memoryview(bytes(drawn)).cast("B", (4 * len(rows), 4 * len(rows[0])))


def test_links_that_nobody_can_make(server):
    """Where the mesh does not say where its edge is, `share` says how it would."""
    server.detour("scenario", "save", "no-links", "users=pr-1", "--force")
    said = server.detour("scenario", "share", "no-links")
    assert "link " not in said.stdout
    assert "edge: {url: https://...}" in said.stderr


def test_a_scenario_that_expires(mesh):
    """Is over for its links at that moment, without anybody doing anything."""
    server, edge = mesh
    assert server.detour("scenario", "save", "short", "web=pr-1", "--expires", "2s").returncode == 0
    headers = {"x-detour-scenario": "short"}

    def status() -> int:
        return httpx.get(f"{edge}/healthz", headers=headers, trust_env=False).status_code

    wait_until(lambda: status() == 410)


def test_overrides_from_outside_count_when_they_are_signed(mesh):
    """By detour curl and by detour header; without a token the response says that they are gone."""
    server, edge = mesh
    words = ("web=pr-1", "--", "-si", f"{edge}/healthz")
    signed = server.detour("curl", "--signed", *words)
    assert signed.returncode == 0, signed.stderr
    assert "x-detour-served-by: web@pr-1" in signed.stdout
    assert server.detour("scenario", "save", "signed", "web=pr-1").returncode == 0
    done = server.detour("curl", "-s", "signed", "--signed", "log.web=debug", *words[1:])
    assert "x-detour-served-by: web@pr-1" in done.stdout
    unsigned = server.detour("curl", *words)
    assert "x-detour-overrides: removed" in unsigned.stdout
    assert "detour: overrides did not take effect: removed" in unsigned.stderr
    assert unsigned.returncode == 1
    assert "x-detour-served-by" not in unsigned.stdout
    lines = server.detour("header", "--signed", "web=pr-1").stdout.splitlines()
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    assert [name for name, _ in headers] == ["baggage", "x-detour-token"]
    answer = httpx.get(f"{edge}/healthz", headers=headers, trust_env=False)
    assert answer.headers["x-detour-served-by"] == "web@pr-1"


def test_curl_tells_what_became_of_overrides(mesh, tmp_path):
    """Whatever options curl has for its output, which are left alone; one in a scenario took effect."""
    server, edge = mesh
    url, file = f"{edge}/healthz", tmp_path / "headers"
    server.detour("scenario", "save", "told", "web=pr-1")
    body = '{"status":"ok"}'
    ways = {
        ("-sS", "-o", "/dev/null", "-w", "%{http_code}"): "200",
        ("-sSD-", "-o", "/dev/null"): "HTTP/1.1 200 OK",
        ("-sSL", "-D", str(file), url, "--next", "-sS"): body * 2,
    }
    for options, printed in ways.items():
        done = server.detour("curl", "web=pr-1", "--", *options, url)
        said = "detour: overrides did not take effect: removed"
        assert (done.returncode, said in done.stderr) == (1, True), (options, done.stderr)
        assert done.stdout.startswith(printed), options
    good = server.detour("curl", "-s", "told", "--", "-sS", url)
    assert (good.returncode, good.stdout, good.stderr) == (0, body, "detour: answered by web@pr-1\n")
    hidden = server.detour("curl", "web=pr-1", "--", "-sS", "--dump-header", str(file), "-v", url)
    assert (hidden.returncode, "cannot check whether the overrides took effect" in hidden.stderr) == (0, True)
    failed = server.detour("curl", "web=pr-1", "--", "-sSf", f"{edge}/none")
    assert (failed.returncode, "did not take effect" in failed.stderr) == (22, True)


def test_no_server_to_sign():
    """Is told, before anything is sent."""
    for command in (
        ("curl", "--signed", "web=pr-1", "--", "http://127.0.0.1:9/"),
        ("header", "--signed", "web=pr-1"),
    ):
        assert refusal(detour(*command, DETOUR_SERVER="http://127.0.0.1:9")).startswith(
            "no Detour server answers at"
        )
