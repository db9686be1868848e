"""The cluster's DNS: names of Services, after docs/specification.md of https://github.com/kubernetes/dns.

Pods search `<namespace>.svc.cluster.local`, `svc.cluster.local` and `cluster.local`, so that `users`, `users.shop`
and `users.shop.svc` are found. A Service answers with its ClusterIP; a headless one with the addresses of its ready
pods; an ExternalName with that name. Every other name is answered with NXDOMAIN: nothing leaves the node.
"""

import asyncio
import ipaddress
import struct
from typing import cast

from kubernetes.cluster import node

from .api import Watched

_DOMAIN = ("svc", "cluster", "local")
_A, _CNAME, _AAAA = 1, 5, 28
_REFUSED_NAME, _NO_ERROR = 3, 0
_TTL_SECONDS = 0


class Names(asyncio.DatagramProtocol):
    """Answers from what is known of Services and EndpointSlices."""

    def __init__(self, services: Watched, slices: Watched) -> None:
        self._services = services
        self._slices = slices

    async def run(self) -> None:
        """Serve for ever, at port 53 of the node."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(node.ADDRESS, 53))
        try:
            await asyncio.Event().wait()
        finally:
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question; what is none is dropped."""
        try:
            answer = self._answer(data)
        except (IndexError, struct.error, UnicodeDecodeError):
            return
        self._transport.sendto(answer, addr)

    def _answer(self, data: bytes) -> bytes:
        labels, end = _name(data, 12)
        (kind,) = struct.unpack_from(">H", data, end)
        found = self._find([label.lower() for label in labels])
        records = [] if found is None else [_record(each) for each in found]
        if kind not in (_A, _CNAME):
            records = [record for record in records if record[2:4] == struct.pack(">H", _CNAME)]
        code = _REFUSED_NAME if found is None else _NO_ERROR
        identity, flags = data[:2], 0x8580 | code
        header = identity + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
        return header + data[12 : end + 4] + b"".join(records)

    def _find(self, labels: list[str]) -> list[str] | None:
        """Return addresses, or one name, or None for what is not known."""
        if tuple(labels[-3:]) != _DOMAIN or len(labels) not in (5, 6):
            return None
        *host, name, namespace = labels[:-3]
        service = self._services.get(namespace, name)
        if service is None:
            return None
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return [str(spec["externalName"])]
        if spec.get("clusterIP") == "None":
            return self._ready(namespace, name, host)
        return None if host else [str(spec["clusterIP"])]

    def _ready(self, namespace: str, name: str, host: list[str]) -> list[str] | None:
        found = []
        for part in self._slices.all():
            about = part["metadata"]
            if (
                about["namespace"] == namespace
                and (about.get("labels") or {}).get("kubernetes.io/service-name") == name
            ):
                for endpoint in part.get("endpoints") or []:
                    if endpoint.get("conditions", {}).get("ready", True) and host in (
                        [],
                        [endpoint.get("hostname")],
                    ):
                        found += endpoint["addresses"]
        return found or (None if host else [])


def _name(data: bytes, place: int) -> tuple[list[str], int]:
    labels = []
    while length := data[place]:
        labels.append(data[place + 1 : place + 1 + length].decode("ascii"))
        place += 1 + length
    return labels, place + 1


def _record(value: str) -> bytes:
    try:
        content, kind = ipaddress.IPv4Address(value).packed, _A
    except ValueError:
        words = [word.encode() for word in value.rstrip(".").split(".")]
        content, kind = b"".join(bytes([len(word)]) + word for word in words) + b"\0", _CNAME
    # The name is a pointer to the question's.
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, _TTL_SECONDS, len(content)) + content
