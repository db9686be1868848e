"""`detour offload`, against a real server."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest

from cli.running import Server, environment, refusal
from ports import free_port


def in_a_terminal(columns: int, *arguments: str, **changes: str) -> str:
    """Run a command in a terminal of that width; return what it shows."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "detour", *arguments]
    variables = environment(TERM="xterm", NO_COLOR="1", **changes)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=its, env=variables) as process:
        os.close(its)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            # The other end is closed.
            pass
        os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m|\r", "", shown.decode())


def test_a_deployment_comes_and_goes(server: Server):
    """Each step says what it did, the first also with which header to use it."""
    added = server.detour(
        "offload", "add", "users", "pr-42", "--endpoint", "127.0.0.1:9101", "-e", "127.0.0.1:9102"
    )
    assert (added.returncode, added.stderr) == (0, "")
    assert added.stdout.splitlines() == [
        "users@pr-42 is registered. To send a request to it, add the header",
        "  baggage: override.route.users=pr-42",
    ]
    assert "127.0.0.1:9101, 127.0.0.1:9102" in server.detour("offload", "ls").stdout
    removed = server.detour("offload", "rm", "users", "pr-42")
    assert (removed.returncode, removed.stdout) == (0, "users@pr-42 was removed\n")
    assert "pr-42" not in server.detour("offload", "ls").stdout


def test_json_is_for_programs(server: Server):
    """What is added is among what is listed, as the API has it; the owner is whom the environment names."""
    added = server.detour("offload", "add", "users", "pr-1", "-e", "127.0.0.1:9101", "--json", DETOUR_USER="ana")
    listed = server.detour("offload", "ls", "--json")
    assert json.loads(added.stdout) in json.loads(listed.stdout)
    assert json.loads(added.stdout)["owner"] == "ana"


def test_one_is_shown_extended_and_taken_from_nobody_else(server: Server):
    """Who is not its owner needs --force."""
    add = ("offload", "add", "users", "pr-9", "-e", "127.0.0.1:9101", "--ttl", "1h")
    assert server.detour(*add, DETOUR_USER="ana").returncode == 0
    shown = server.detour("offload", "show", "users", "pr-9").stdout
    assert re.search(r"endpoints +127.0.0.1:9101", shown)
    assert re.search(r"owner +ana", shown)
    extended = server.detour("offload", "extend", "users", "pr-9", "--ttl", "7d", DETOUR_USER="ana").stdout
    assert re.fullmatch(r"users@pr-9 expires in (7 d|6 d 23 h)\n", extended)
    for command in ("extend", "rm"):
        line = refusal(server.detour("offload", command, "users", "pr-9", DETOUR_USER="bob"))
        assert line == "users@pr-9 belongs to ana: choose another name"
    shown = json.loads(server.detour("offload", "show", "users", "pr-9", "--json").stdout)
    assert (shown["owner"], shown["progress"]) == ("ana", None)
    done = server.detour("offload", "rm", "users", "pr-9", "--force", DETOUR_USER="bob")
    assert (done.returncode, done.stdout) == (0, "users@pr-9 was removed\n")


def test_all_of_an_owner_go_at_once(server: Server):
    """And nobody else's."""
    for name, owner in (("a", "eve"), ("b", "eve"), ("c", "mallory")):
        arguments = ("offload", "add", "users", name, "-e", "127.0.0.1:9101", "--owner", owner)
        assert server.detour(*arguments).returncode == 0
    done = server.detour("offload", "rm", "--all", "--owner", "eve")
    assert (done.returncode, done.stdout) == (0, "users@a was removed\nusers@b was removed\n")
    assert server.detour("offload", "rm", "--all", DETOUR_USER="mallory").stdout == "users@c was removed\n"
    assert server.detour("offload", "rm", "--all", "--owner", "eve").stdout == (
        "eve has no deployments to remove\n"
    )


NO_CLUSTER = "this server has no Kubernetes cluster: start instances yourself, and register them with offload add"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["create", "users", "x", "--image", "users:2"], NO_CLUSTER),
        (["create", "users", "x", "--image", "users:2", "--env", "A"], "--env: expected NAME=VALUE, got 'A'"),
        (["create", "users", "x", "--image", "users:2", "--env", "A B=1"], "env.A B.[key]: "),
        (["create", "users", "x", "--image", "a b"], "image: "),
        (["create", "users", "x", "--image", "users:2", "--timeout", "soon"], "expected a whole number and a unit"),
        (["logs", "users", "filed"], NO_CLUSTER),
        (
            ["show", "users", "nope"],
            "deployment users@nope does not exist; GET /v1/deployments (detour offload ls)",
        ),
        (
            ["extend", "users", "nope"],
            "deployment users@nope does not exist; GET /v1/deployments (detour offload ls)",
        ),
        (["extend", "users", "filed"], "users@filed is defined in the mesh file, /"),
        (["rm"], "give either SERVICE and NAME, or --all for all deployments of an owner"),
        (["rm", "users", "x", "--all"], "give either SERVICE and NAME, or --all for all deployments of an owner"),
        (["add", "usrs", "x", "-e", "127.0.0.1:1"], "the mesh has no service usrs; did you mean users?"),
        (["add", "users", "x", "-e", "rubbish"], "endpoints[0]: expected ip:port such as 127.0.0.1:8080"),
        (["add", "users", "filed", "-e", "127.0.0.1:1"], "users@filed is defined in the mesh file, /"),
        (["rm", "users", "filed"], "users@filed is defined in the mesh file, /"),
        (["rm", "users", "nope"], "deployment users@nope does not exist; GET /v1/deployments (detour offload ls)"),
        (["rm", "users", "../../healthz"], "deployment users/../../healthz does not exist: names of services"),
    ],
)
def test_what_the_server_refuses_is_one_line(here, server: Server, arguments, line):
    """It says what to do, and the exit status is 2."""
    assert refusal(here("offload", *arguments, "--server", server.url)).startswith(line)


def test_a_table_fits_its_terminal(server: Server):
    """A hundred rows: whole in a pipe, a line each; folded in a narrow terminal, and nothing cut off."""
    long = "a-deployment-with-a-rather-long-name-of-sixty-three-letters-"
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        for number in range(100, 200):
            body = {"service": "payments", "name": f"{long}{number}", "endpoints": [f"127.0.0.1:{number}"]}
            http.post("/v1/deployments", json={**body, "owner": "[bold]ana[/]"}).raise_for_status()
    piped = server.detour("offload", "ls", COLUMNS="40").stdout.splitlines()
    assert piped[0].split() == ["service", "deployment", "endpoints", "owner", "expires", "from"]
    rows = [line.split() for line in piped if line.startswith("payments")]
    assert [row[1] for row in rows] == [f"{long}{number}" for number in range(100, 200)]
    assert rows[0][2:4] == ["127.0.0.1:100", "[bold]ana[/]"]
    narrow = in_a_terminal(60, "offload", "ls", "--server", server.url)
    assert max(map(len, narrow.splitlines())) <= 60
    assert "…" not in narrow
    wide = in_a_terminal(200, "offload", "ls", "--server", server.url)
    assert len([line for line in wide.splitlines() if line.startswith("payments")]) == 100


def test_nothing_to_list_says_what_to_do(here):
    """An answer for people; for programs an empty list."""
    with _answering("application/json", b'{"items": [], "next": null}') as url:
        assert here("offload", "ls", "--server", url).stdout == (
            "No offloaded deployments. Register one: detour offload add SERVICE NAME --endpoint IP:PORT\n"
        )
        assert json.loads(here("offload", "ls", "--server", url, "--json").stdout) == []


def test_no_server_is_told(here):
    """With the address and how to start one."""
    url = f"http://127.0.0.1:{free_port()}"
    line = refusal(here("offload", "ls", "--server", url))
    assert line.startswith(f"no Detour server answers at {url} (")
    assert line.endswith("start one with detour serve --mesh FILE, or give --server")


@pytest.mark.parametrize("url", ["127.0.0.1:15020", "ftp://x", "http://127.0.0.1:port"])
def test_what_is_no_url_is_told(here, url):
    """With one that is."""
    line = refusal(here("offload", "ls", "--server", url))
    assert line == f"--server {url!r} is not a URL such as http://127.0.0.1:15020"


def test_another_server_is_told(here):
    """Somebody else's page is not taken for an answer."""
    with _answering("text/html", b"<html>") as url:
        line = refusal(here("offload", "ls", "--server", url))
    assert line == f"{url} answered 200 to /v1/deployments: is that a Detour server?"


class _answering:  # noqa: N801  reads as a function
    """An HTTP server that gives everybody the same answer."""

    def __init__(self, content_type: str, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", content_type)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
