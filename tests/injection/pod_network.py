"""A pod's network on this machine: a network namespace, and a second one with the hosts that it can reach.

Both end with the context that they were made in. What is to happen inside one runs in a thread that enters it.
"""

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

Result = TypeVar("Result")

POD = "10.213.0.2"
GATEWAY = "10.213.0.1"
POD_6 = "fd00:d37::2"
GATEWAY_6 = "fd00:d37::1"
UID = 1337

_CLONE_NEWNET = 0x40000000
_HERE = "/proc/thread-self/ns/net"


def missing() -> str:
    """Say what this machine lacks to make pods' networks; nothing if it has all."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    tools = [tool for tool in ("ip", "iptables", "ip6tables", "nsenter", "setpriv") if shutil.which(tool) is None]
    return f"missing: {', '.join(tools)}" if tools else ""


@dataclass(frozen=True)
class Namespace:
    """A network namespace."""

    name: str

    @property
    def path(self) -> Path:
        """The file that stands for it."""
        return Path("/run/netns") / self.name

    def run(self, *command: str) -> str:
        """Run a command inside to its end; return what it printed."""
        inside = ["ip", "netns", "exec", self.name, *command]
        done = subprocess.run(inside, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done
        return done.stdout

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread's new sockets be inside."""
        with Path(_HERE).open("rb") as home, self.path.open("rb") as here:
            _set_namespace(here.fileno())
            try:
                yield
            finally:
                _set_namespace(home.fileno())

    async def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function in a thread that is inside."""

        def inside() -> Result:
            with self.entered():
                return function(*arguments)

        return await asyncio.to_thread(inside)

    def listen(self, address: str, port: int) -> socket.socket:
        """Return a socket that listens inside."""
        with self.entered():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return socket.create_server((address, port), family=family)


def _set_namespace(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class PodNetwork:
    """The pod's namespace, and the one with all hosts that it reaches."""

    pod: Namespace
    hosts: Namespace

    def add_host(self, address: str) -> None:
        """Give the hosts another address."""
        self.hosts.run("ip", "address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))


@contextmanager
def pod_network(*, ipv6: bool = False) -> Iterator[PodNetwork]:
    """Make both namespaces and the link between them."""
    mark = uuid4().hex[:8]
    network = PodNetwork(Namespace(f"detour-pod-{mark}"), Namespace(f"detour-hosts-{mark}"))
    try:
        for one in (network.pod, network.hosts):
            subprocess.run(["ip", "netns", "add", one.name], check=True, timeout=30)
        _link(network, ipv6=ipv6)
        yield network
    finally:
        for one in (network.pod, network.hosts):
            subprocess.run(["ip", "netns", "delete", one.name], check=False, capture_output=True, timeout=30)


def _link(network: PodNetwork, *, ipv6: bool) -> None:
    pod, hosts = network.pod, network.hosts
    pod.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", hosts.name)
    for one, address, address_6 in ((pod, POD, POD_6), (hosts, GATEWAY, GATEWAY_6)):
        if not ipv6:
            one.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        one.run("ip", "link", "set", "lo", "up")
        one.run("ip", "link", "set", "eth0", "up")
        one.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        if ipv6:
            one.run("ip", "address", "add", f"{address_6}/64", "dev", "eth0", "nodad")
    pod.run("ip", "route", "add", "default", "via", GATEWAY)
    if ipv6:
        pod.run("ip", "-6", "route", "add", "default", "via", GATEWAY_6)
