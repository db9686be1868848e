"""Ports for programs that are about to start."""

import random
import socket
from typing import Final

_RANGE: Final = range(15_000, 32_000)
"""Below the ports of outgoing connections: none of those takes a port before its program listens on it."""


def free_port() -> int:
    """Return a port that nothing listens on, and that no process that runs tests gets a second time."""
    while True:
        port = random.choice(_RANGE)
        if _claim(port) and _is_free(port):
            return port


def _claim(port: int) -> bool:
    """Say whether the port is ours from now on: the kernel holds the claim for as long as this process lives."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0detour-test-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # open until the process ends
    return True


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("0.0.0.0", port)):
            return True
    except OSError:
        return False
