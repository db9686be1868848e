"""`detour serve`: starting, ending, and what it refuses to start with."""

import json
import re
import signal
import socket
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cli.running import Server, detour, refusal, serving, wait_until
from detour.envoy import Sidecar, sidecar_bootstrap, start_envoy
from ports import free_port

PR_42 = {"service": "users", "name": "pr-42", "endpoints": ["127.0.0.1:9101"], "owner": "ana"}


@contextmanager
def connected_envoy(server: Server, log: Path):
    """Run a sidecar, from the moment on at which the server has told it all that it asked for."""
    ports = {name: free_port() for name in ("app_port", "outbound_port", "inbound_port", "admin_port")}
    envoy = start_envoy(sidecar_bootstrap(Sidecar("users", "users-1", control_plane=server.xds, **ports)), log)

    def is_told() -> bool:
        envoys = httpx.get(f"{server.url}/v1/status", trust_env=False).json()["envoys"]
        return any(one["acknowledged"].get("RouteConfiguration") for one in envoys)

    try:
        wait_until(is_told)
        yield
    finally:
        envoy._process.kill()
        envoy._process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(tmp_path, mesh_file, number):
    """Also with Envoys connected: status 0, with a line and no stack; without a terminal no colours.

    It does not wait for Envoys: it has an hour to end, and this test less.
    """
    hour = ("--drain-seconds", "3600")
    with serving(mesh_file, *hour) as server, connected_envoy(server, tmp_path / "envoy.log"):
        assert server.command.end(number) == 0
        said = server.command.text()
    assert re.fullmatch(r"Detour serves .+\n\d\d:\d\d:\d\d INFO shut down; Envoys keep their configuration\n", said)


def test_what_was_answered_survives_kill_9(mesh_file):
    """The next server with the same state has it, and nothing has to be repaired."""
    with serving(mesh_file) as server:
        httpx.post(f"{server.url}/v1/deployments", json=PR_42, trust_env=False).raise_for_status()
        server.command.end(signal.SIGKILL)
    assert (mesh_file.parent / "mesh.state.db").exists()
    with serving(mesh_file) as server:
        listed = httpx.get(f"{server.url}/v1/deployments", trust_env=False).json()["items"]
    assert [one["name"] for one in listed] == ["filed", "pr-42"]


def test_a_broken_file_is_told_and_keeps_the_mesh(mesh_file):
    """In the log and by `status`, with its line; mended, it is forgotten."""
    good = mesh_file.read_text()
    with serving(mesh_file) as server:
        mesh_file.write_text(good.replace("endpoints", "endpoint", 1))
        server.command.wait_for(
            rf"{mesh_file}:3: services.users.endpoint: unknown key, did you mean \"endpoints\"\?\n"
        )
        server.command.wait_for("the last good mesh stays in force\n")
        shown = server.detour("status").stdout
        assert shown.splitlines()[:2] == [
            f"{mesh_file}: 2 services, 1 offloaded deployment",
            "The mesh file has errors; the server uses the last valid one:",
        ]
        assert f"{mesh_file}:3: services.users.endpoint: unknown key" in shown
        mesh_file.write_text(good.replace("9003", "9004"))
        server.command.wait_for(r"INFO read .*mesh.yaml again; it changes payments\n")
        assert "has errors" not in server.detour("status").stdout


@pytest.mark.parametrize(("option", "purpose"), [("--xds", "xDS"), ("--api", "the API")])
def test_a_busy_port_is_one_line(mesh_file, option, purpose):
    """It names the address and what it is for."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        addresses = {"--xds": "127.0.0.1:0", "--api": "127.0.0.1:0", option: address}
        options = [word for pair in addresses.items() for word in pair]
        line = refusal(detour("serve", "--mesh", str(mesh_file), *options))
    assert line == f"cannot listen on {address} for {purpose}: Address already in use"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "{file}: cannot be read: No such file or directory"),
        ("services: {users", "{file}:1: is not YAML: while parsing a flow mapping"),
        (
            "services:\n  users: {endpoints: []}\n  users: {endpoints: []}\n",
            "{file}:3: services.users: is there twice, first on line 2",
        ),
    ],
)
def test_a_bad_mesh_file_is_one_line(tmp_path, content, expected):
    """It names the file, the line and the mistake."""
    file = tmp_path / "mesh.yaml"
    if content is not None:
        file.write_text(content)
    line = refusal(detour("serve", "--mesh", str(file), "--xds", "127.0.0.1:0", "--api", "127.0.0.1:0"))
    assert line.startswith(expected.format(file=file))
    assert not (tmp_path / "mesh.state.db").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--mesh is missing: detour serve --mesh FILE"),
        (["mesh.yaml"], "--mesh is missing: detour serve --mesh mesh.yaml"),
        (["--mesh", "a.yaml", "b.yaml"], "unexpected argument 'b.yaml': --mesh takes one file"),
        (["--mesh", "."], ".: cannot be read: Is a directory"),
    ],
)
def test_the_mesh_file_is_an_option(here, arguments, line):
    """Who gives it otherwise is told the whole command."""
    assert refusal(here("serve", *arguments)) == line


def test_a_state_that_cannot_be_opened_is_one_line(mesh_file, tmp_path):
    """It names the file."""
    state = tmp_path / "nowhere" / "state.db"
    line = refusal(detour("serve", "--mesh", str(mesh_file), "--state", str(state), "--api", "127.0.0.1:0"))
    assert line.startswith(f"{state}: cannot be used as the registry of deployments: unable to open database file")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--namespace", "shop"], "--mesh is missing"),
        (["--mesh", "m.yaml", "--namespace", "shop"], "--namespace needs --kubernetes"),
        (["--mesh", "m.yaml", "--webhook", "127.0.0.1:1"], "--webhook needs --kubernetes"),
        (["--mesh", "m.yaml", "--drop-from-copies", "a/b"], "--drop-from-copies needs --kubernetes"),
        (["--kubernetes", "--drop-from-copies", "a b"], "'a b' is not a key of labels: expected KEY"),
        (["--kubernetes", "--kubeconfig", "/nowhere/config"], "no Kubernetes cluster: "),
        (
            ["--kubernetes", "--sidecar-resources", "limits.cpu=much"],
            "--sidecar-resources: limits.cpu is 'much', which is not a quantity such as 500m or 256Mi",
        ),
        (
            ["--mesh", "m.yaml", "--log-level", "loud"],
            "--log-level: expected one of debug, info, warning, error, got",
        ),
        (
            ["--kubernetes", "--sidecar-log-level", "loud"],
            "--sidecar-log-level: expected one of trace, debug, info, warning, error, critical, off, got 'loud'",
        ),
        (
            ["--kubernetes", "--sidecar-mode", "magic"],
            "--sidecar-mode: expected one of explicit, transparent, auto, got 'magic'",
        ),
    ],
)
def test_a_cluster_that_cannot_be_is_one_line(here, arguments, line):
    """With what to give."""
    assert refusal(here("serve", *arguments)).startswith(line)


def test_a_signal_breaks_off_no_request(mesh_file):
    """One whose body is still coming is answered; a stream of events ends; no stack is logged."""
    with serving(mesh_file) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        body = json.dumps(PR_42).encode()
        head = f"POST /v1/deployments HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        with (
            socket.create_connection((host, int(port))) as slow,
            httpx.stream("GET", f"{server.url}/v1/events?kind=deployment", trust_env=False) as events,
        ):
            slow.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
            lines = events.iter_lines()
            assert next(lines) == ": connected"
            server.command.process.send_signal(signal.SIGTERM)
            assert "".join(lines).strip(":") == ""
            wait_until(lambda: not accepts(host, int(port)))
            slow.sendall(body[10:])
            slow.settimeout(10)
            assert slow.recv(4096).startswith(b"HTTP/1.1 201 ")
            assert server.command.process.wait(10) == 0
        assert "Traceback" not in server.command.text()
    with serving(mesh_file) as server:
        listed = httpx.get(f"{server.url}/v1/deployments", trust_env=False).json()["items"]
    assert [one["name"] for one in listed] == ["filed", "pr-42"]


@pytest.mark.parametrize("way", ["time", "signal"])
def test_an_end_is_bounded(mesh_file, way):
    """By --drain-seconds, or by a second signal, whatever a client does; no stack is logged."""
    with serving(mesh_file, "--drain-seconds", "1" if way == "time" else "600") as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /v1/deployments HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{")
            wait_until(lambda: httpx.get(f"{server.url}/healthz", trust_env=False).is_success)
            server.command.process.send_signal(signal.SIGTERM)
            if way == "signal":
                wait_until(lambda: not accepts(host, int(port)))
                server.command.process.send_signal(signal.SIGTERM)
            assert server.command.process.wait(10) == (0 if way == "time" else 1)
        assert "Traceback" not in server.command.text()


def accepts(host: str, port: int) -> bool:
    """Say whether anybody listens."""
    try:
        socket.create_connection((host, port)).close()
    except OSError:
        return False
    return True


def test_networks_that_are_none_are_one_line(mesh_file):
    """And it says how one is written."""
    line = refusal(detour("serve", "--mesh", str(mesh_file), "--endpoint-networks", "10.0.0.0/8,somewhere"))
    assert line.startswith("'somewhere' is not a network such as 10.0.0.0/8")
