"""The hooks of an ordinary sidecar, run by a real bash in a pod's own network."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from detour.injection import InjectionSettings, inject
from injection.pod_network import POD, UID, Namespace, missing, pod_network

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

LISTEN = "import socket, sys; s = socket.create_server((sys.argv[1], int(sys.argv[2]))); print(flush=True); input()"


def hook(name: str) -> list[str]:
    """Return the hook's command."""
    pod = inject({"spec": {"containers": [{"name": "users"}]}}, InjectionSettings(native=False))
    command: list[str] = pod["spec"]["containers"][0]["lifecycle"][name]["exec"]["command"]
    return command


@contextmanager
def started(pod: Namespace, *command: str, user: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command in the pod."""
    inside = ["nsenter", f"--net={pod.path}", "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    process = subprocess.Popen([*inside, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def listening(pod: Namespace, port: int, user: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Listen in the pod."""
    with started(pod, "/usr/bin/env", "python3", "-c", LISTEN, POD, str(port), user=user) as process:
        assert process.stdout.readline() == b"\n"
        yield process


def test_the_application_starts_once_envoy_is_live() -> None:
    """The hook ends when the probe's port is open, and not before."""
    with (
        pod_network() as network,
        started(network.pod, "env", f"POD_IP={POD}", *hook("postStart"), user=UID) as holding,
    ):
        with pytest.raises(subprocess.TimeoutExpired):
            holding.wait(0.5)
        with listening(network.pod, 15003, UID):
            assert holding.wait(10) == 0


def test_the_sidecar_ends_after_the_application() -> None:
    """It waits while the application has a socket open; Envoy's own sockets are ignored."""
    with (
        pod_network() as network,
        listening(network.pod, 15001, UID),
        listening(network.pod, 8080, 65534) as application,
        started(network.pod, *hook("preStop"), user=UID) as waiting,
    ):
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        application.kill()
        assert waiting.wait(10) == 0
