"""Pods' addresses, and the veth pair that brings each one to its pod.

Each pod has an address of its own, routed (a /32 by way of its veth) rather than bridged, so that NAT rules of the
node apply between pods too. The pair goes with the pod's network namespace. Addresses come back only after all
others were used.
"""

import asyncio
import ipaddress
from itertools import cycle

from kubernetes.cluster import node

from .containers import Process, namespace_path


class Network:
    """The addresses that are given out."""

    def __init__(self) -> None:
        pods = ipaddress.ip_network(node.PODS)
        self._every = cycle(range(2, pods.num_addresses - 1))
        self._first = pods.network_address
        self._taken: set[str] = set()

    async def connect(self, sandbox: Process) -> str:
        """Give a sandbox an address, and return it."""
        address = next(each for each in map(self._numbered, self._every) if each not in self._taken)
        self._taken.add(address)
        number = int(ipaddress.ip_address(address)) - int(self._first)
        await _ip([], _outer(f"pod{number}", address, sandbox.pid))
        await _ip(["nsenter", f"--net={namespace_path(sandbox, 'net')}"], _inner(address))
        return address

    def release(self, address: str) -> None:
        """Take an address back."""
        self._taken.discard(address)

    def _numbered(self, number: int) -> str:
        return str(self._first + number)


def _outer(name: str, address: str, sandbox: int) -> str:
    return (
        f"link add {name} type veth peer name eth0 netns {sandbox}\n"
        f"link set {name} up\n"
        f"route add {address}/32 dev {name} src {node.ADDRESS}\n"
    )


def _inner(address: str) -> str:
    return (
        "link set lo up\n"
        "link set eth0 up\n"
        f"address add {address}/32 dev eth0\n"
        f"route add {node.ADDRESS} dev eth0 scope link\n"
        f"route add default via {node.ADDRESS} dev eth0\n"
    )


async def _ip(before: list[str], commands: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *before, "ip", "-batch", "-", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, trouble = await process.communicate(commands.encode())
    if process.returncode != 0:
        raise RuntimeError(f"ip -batch failed: {trouble.decode().strip()}")
