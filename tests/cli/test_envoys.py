"""`detour sidecar`, `edge` and `bootstrap`: an Envoy in the foreground."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from cli.running import Running, Server, detour, refusal, running, wait_until
from detour.envoy import find_envoy
from ports import free_port


def sidecar(control_plane: str) -> list[str]:
    """Return the command of a sidecar on free ports."""
    ports = [("--app-port", free_port()), ("--outbound-port", free_port()), ("--inbound-port", free_port())]
    options = [*ports, ("--admin-port", free_port()), ("--control-plane", control_plane)]
    return ["sidecar", "--service", "users", *(str(word) for option in options for word in option)]


def nowhere() -> str:
    """Return an address where no control plane is."""
    return f"127.0.0.1:{free_port()}"


def envoy_of(command: Running) -> int:
    """Wait for the Envoy that a command runs; return its process id."""
    children = Path(f"/proc/{command.process.pid}/task/{command.process.pid}/children")
    found: list[int] = []

    def is_there() -> bool:
        assert command.process.poll() is None, command.text()
        found.extend(pid for pid in map(int, children.read_text().split()) if _name(pid) == "envoy")
        return bool(found)

    wait_until(is_there)
    return found[0]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_a_sidecar_serves_until_it_is_told_to_end(server: Server, tmp_path):
    """It says where the application calls and is called; SIGTERM leaves no Envoy behind."""
    arguments = sidecar(server.xds)
    with running(tmp_path / "log", *arguments) as command:
        said = command.wait_for(r"Sidecar of users: .*http_proxy=http://127.0.0.1:(\d+); .* 127.0.0.1:(\d+)\n")
        assert list(said.groups()) == [arguments[6], arguments[8]]
        envoy = envoy_of(command)
        assert "up to date" in server.detour("status").stdout
        assert command.end() == 0
        assert _name(envoy) == ""
    assert "detour: " not in command.text()


def test_an_edge_ends_with_ctrl_c(server: Server, tmp_path):
    """Ctrl-C reaches Envoy too; which of them is the first makes no difference."""
    arguments = ["edge", "--listen", nowhere(), "--admin-port", str(free_port()), "--trust-overrides"]
    with running(tmp_path / "log", *arguments, "--control-plane", server.xds) as command:
        command.wait_for(f"Edge at http://{arguments[2]}; overrides from outside are honoured\n")
        envoy = envoy_of(command)
        os.killpg(command.process.pid, signal.SIGINT)
        assert command.process.wait(10) == 0
        assert _name(envoy) == ""
    assert "detour: " not in command.text()


def test_a_sidecar_starts_without_a_control_plane(tmp_path):
    """It is ready all the same, and may be ended before."""
    with running(tmp_path / "first", *sidecar(nowhere())) as first:
        first.wait_for("Sidecar of users")
        assert first.end() == 0
    with running(tmp_path / "second", *sidecar(nowhere())) as second:
        envoy_of(second)
        begun = time.monotonic()
        assert second.end(signal.SIGINT) == 0
        assert time.monotonic() - begun < 2
    assert "Sidecar of users" not in second.text()


def test_an_envoy_that_ends_by_itself_is_told(tmp_path):
    """With its status, and status 2."""
    with running(tmp_path / "log", *sidecar(nowhere())) as command:
        command.wait_for("Sidecar of users")
        os.kill(envoy_of(command), signal.SIGKILL)
        assert command.process.wait(10) == 2
    assert command.text().endswith("detour: Envoy ended with status -9; its log above says why\n")


def test_a_busy_port_is_one_line(here):
    """It names the option that chooses another; two ports of one sidecar may not be the same either."""
    arguments = sidecar(nowhere())
    for option in ("--outbound-port", "--inbound-port", "--admin-port"):
        with socket.create_server(("127.0.0.1", int(arguments[arguments.index(option) + 1]))) as busy:
            where = f"127.0.0.1:{busy.getsockname()[1]}"
            line = refusal(here(*arguments))
        assert line == f"cannot listen on {where}: Address already in use; choose another with {option}"
    arguments[arguments.index("--inbound-port") + 1] = arguments[arguments.index("--outbound-port") + 1]
    assert "choose another with --inbound-port" in refusal(here(*arguments))
    with socket.create_server(("127.0.0.1", 0)) as busy:
        where = f"127.0.0.1:{busy.getsockname()[1]}"
        edge = ("edge", "--listen", where, "--admin-port", str(free_port()), "--trusted-proxies", "1")
        line = refusal(here(*edge))
    assert line == f"cannot listen on {where}: Address already in use; choose another with --listen"


def test_a_missing_envoy_is_one_line(tmp_path):
    """It says which was asked for."""
    missing = str(tmp_path / "envoy")
    line = refusal(detour(*sidecar(nowhere()), DETOUR_ENVOY=missing))
    assert line == f"DETOUR_ENVOY={missing} is not an executable file"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--service", "users", "--app-port", "8080", "--control-plane", "detour.example.test:15010"],
        ["--service", "users", "--inbound-address", "::1", "--control-plane", "[::1]:15010"],
        ["--edge", "--listen", "localhost:8000", "--trust-overrides"],
    ],
)
def test_envoy_accepts_the_bootstrap(here, tmp_path, arguments):
    """Envoy's own validation."""
    done = here("bootstrap", *arguments)
    file = tmp_path / "bootstrap.json"
    file.write_text(done.stdout)
    command = [find_envoy(), "--mode", "validate", "--config-path", file]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("arguments", [[], ["--service", "users", "--edge"]])
def test_a_bootstrap_is_one_or_the_other(here, arguments):
    """A sidecar's or an edge's."""
    line = refusal(here("bootstrap", *arguments))
    assert line == "give either --service NAME (for a sidecar) or --edge"


def test_an_instance_of_a_deployment_says_so(here):
    """For those who look at who calls whom; what is no name is refused."""
    options = ("bootstrap", "--service", "users", "--deployment")
    metadata = json.loads(here(*options, "pr-42").stdout)["node"]["metadata"]
    assert metadata == {"role": "sidecar", "version": "0.1.0", "deployment": "pr-42", "ports": [15000, 15001]}
    assert "expected the name of a deployment such as pr-42" in here(*options, "a b").stderr


def test_a_service_that_the_mesh_does_not_have_is_told(server: Server, tmp_path):
    """With the nearest, by the server that the sidecar belongs to; it goes on all the same."""
    arguments = sidecar(server.xds)
    arguments[arguments.index("users")] = "uesrs"
    with running(tmp_path / "log", *arguments, "--server", server.url) as command:
        command.wait_for("The mesh has no service uesrs; did you mean users\\? This sidecar runs")
        assert command.end() == 0


def test_two_sidecars_at_once_are_one_line(tmp_path):
    """Whichever is later says which port is busy, and not its whole configuration; nothing of either is left."""
    arguments = sidecar(nowhere())
    with running(tmp_path / "one", *arguments) as one, running(tmp_path / "two", *arguments) as two:
        wait_until(lambda: any(each.process.poll() is not None for each in (one, two)))
        loser = one if one.process.poll() is not None else two
        assert loser.process.wait(10) == 2
        assert "in use" in loser.text()
        assert len(loser.text()) < 1500
        winner = two if loser is one else one
        winner.wait_for("Sidecar of users")
        assert winner.end() == 0
        assert "Traceback" not in winner.text() + loser.text()
