"""Finding free TCP ports on loopback.

Those that the system itself hands out to outgoing connections are avoided: a port could be taken by one between
its choice here and its use.
"""

import random
import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_LOWEST = 10_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT = 32_768


def free_ports(count: int) -> list[int]:
    """Find that many distinct free ports, beginning anywhere.

    Raises:
        OSError: There are not that many.
    """
    found = list(islice(filter(is_free, _candidates()), count))
    if len(found) < count:
        raise OSError(f"there are only {len(found)} free ports on 127.0.0.1, and {count} are needed")
    return found


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
    start = random.randrange(len(ports))  # noqa: S311  two demos at a time should not meet
    yield from ports[start:]
    yield from ports[:start]


def _first_ephemeral() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        return _EPHEMERAL_DEFAULT
