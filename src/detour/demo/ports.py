"""Free TCP ports on loopback, reserved until processes listen on them.

Ephemeral ports are avoided: the kernel could assign one to an outgoing connection between its choice and its use.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Self

_LOWEST = 10_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT = 32_768


class Ports:
    """A supply of free ports; two open supplies on a machine never return the same port."""

    def __init__(self) -> None:
        self._claims = ExitStack()
        self._candidates = _candidates()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._claims.close()

    def take(self, *preferred: int) -> int:
        """Reserve a free port: the first free one of those preferred, else any.

        Raises:
            OSError: No port is free.
        """
        for port in chain(preferred, self._candidates):
            if self._claim(port) and is_free(port):
                return port
        raise OSError("all ports on 127.0.0.1 are in use")

    def _claim(self, port: int) -> bool:
        # A name in the abstract namespace is exclusive, and is released when the process ends (unix(7)).
        claim = self._claims.enter_context(socket.socket(socket.AF_UNIX))
        try:
            claim.bind(f"\0detour-demo-port-{port}")
        except OSError:
            return False
        return True


def is_free(port: int) -> bool:
    """Return whether a server could listen on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _candidates() -> Iterator[int]:
    ports = range(_LOWEST, max(_first_ephemeral(), _LOWEST + 1000))
    start = random.randrange(len(ports))  # noqa: S311  not used for security
    yield from ports[start:]
    yield from ports[:start]


def _first_ephemeral() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        return _EPHEMERAL_DEFAULT
