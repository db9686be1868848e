"""The node: a network namespace of the test session, in which the whole cluster and the tests themselves run.

Nothing outside sees it, so every address and port here is fixed. Pods have addresses of 10.88.0.0/16 rather than of
127.0.0.0/8, because the API server refuses loopback addresses in EndpointSlices (`ValidateEndpointIP` in its core
validation). The namespace has no name and no file: it goes with the last process that is in it.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = "10.87.0.1"
PODS = "10.88.0.0/16"
SERVICES = "10.96.0.0/16"
NAME = "node"

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    # Thousands of short connections a minute between few addresses.
    "net/ipv4/ip_local_port_range": "1024 65535",
}


@contextmanager
def entered() -> Iterator[None]:
    """Move the calling thread, and all that it starts, into a new node; out of it again at the end.

    Raises:
        RuntimeError: This user may not make a network namespace.
    """
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _checked(_libc.unshare(_CLONE_NEWNET), "make a network namespace (it takes root)")
        try:
            _furnish()
            yield
        finally:
            _checked(_libc.setns(outside, _CLONE_NEWNET), "leave the node's network namespace")
    finally:
        os.close(outside)


def _furnish() -> None:
    subprocess.run(
        ["ip", "-batch", "-"],
        # Without a route nothing of the node itself gets as far as the rules that lead a ClusterIP to a pod.
        input=f"link set lo up\naddress add {ADDRESS}/32 dev lo\nroute add {SERVICES} dev lo src {ADDRESS}\n",
        text=True,
        check=True,
    )
    for name, value in _SETTINGS.items():
        Path("/proc/sys", name).write_text(value)


def _checked(status: int, aim: str) -> None:
    if status != 0:
        raise RuntimeError(f"cannot {aim}: {os.strerror(ctypes.get_errno())}")
