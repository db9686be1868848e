"""Free TCP ports on loopback, claimed until the processes that are to listen on them do.

Those that the system itself hands out to outgoing connections are avoided: one of them could be taken between
its choice here and its use.
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
    """A supply of free ports; no two of these on a machine give out the same one while both are open."""

    def __init__(self) -> None:
        self._claims = ExitStack()
        self._candidates = _candidates()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._claims.close()

    def take(self, *preferred: int) -> int:
        """Take a free port: the first of the preferred ones that is, else any.

        Raises:
            OSError: None is left.
        """
        for port in chain(preferred, self._candidates):
            if self._claim(port) and is_free(port):
                return port
        raise OSError("there is no free port on 127.0.0.1")

    def _claim(self, port: int) -> bool:
        # A name in the abstract namespace is exclusive, and gone with the process that bound it (unix(7)).
        claim = self._claims.enter_context(socket.socket(socket.AF_UNIX))
        try:
            claim.bind(f"\0detour-demo-port-{port}")
        except OSError:
            return False
        return True


def is_free(port: int) -> bool:
    """Say whether a server could listen on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _candidates() -> Iterator[int]:
    ports = range(_LOWEST, max(_first_ephemeral(), _LOWEST + 1000))
    start = random.randrange(len(ports))  # noqa: S311  nobody guards anything by it
    yield from ports[start:]
    yield from ports[:start]


def _first_ephemeral() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        return _EPHEMERAL_DEFAULT
