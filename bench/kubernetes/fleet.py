"""Sidecars as the control plane sees them: clients that speak delta xDS as Envoy does, in a process of their own.

`python -m bench.kubernetes.fleet XDS SIDECARS SERVICES RESULT` connects SIDECARS clients to a mesh of SERVICES
services. Each opens its own connection with a wildcard subscription, requests the clusters of its services one by
one, then the endpoints of each, and acknowledges everything. The program prints `ready` once all clients have
received what they requested, and at SIGTERM writes what each has.
"""

import asyncio
import json
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Response

from bench.mesh import names

USED: Final = 20
"""How many of the services each sidecar uses."""

_CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_ENDPOINTS: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
# Else one connection would carry all of them.
_OPTIONS: Final = [("grpc.use_local_subchannel_pool", 1)]


def used_by(number: int, services: int) -> list[str]:
    """Name the services that a sidecar uses: each others than its neighbour."""
    known = names(services)
    return list(dict.fromkeys(known[(number * USED + turn * 37) % services] for turn in range(USED)))


@dataclass(slots=True)
class Held:
    """The endpoints of one service as a sidecar has them, and since when (`time.monotonic`)."""

    endpoints: frozenset[str] = frozenset()
    changed: float = 0.0


@dataclass(slots=True)
class Client:
    """One sidecar.

    Args:
        number: Which.
        services: What it uses.
    """

    number: int
    services: list[str]
    held: dict[str, Held] = field(default_factory=dict)
    appeared: list[tuple[str, float]] = field(default_factory=list)
    responses: int = 0
    bytes: int = 0
    is_complete: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, xds: str) -> None:
        """Follow until cancelled."""
        async with grpc.aio.insecure_channel(xds, _OPTIONS) as channel:
            stream = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
            first = Request(type_url=_CLUSTER, resource_names_subscribe=["*"])
            first.node.id, first.node.cluster = f"caller-{self.number}", "caller"
            await stream.write(first)
            for name in self.services:
                await stream.write(Request(type_url=_CLUSTER, resource_names_subscribe=[name]))
            async for response in stream:
                await self._take(response, stream)

    async def _take(self, response: Response, stream: Any) -> None:
        moment = time.monotonic()
        self.responses += 1
        self.bytes += response.ByteSize()
        await stream.write(Request(type_url=response.type_url, response_nonce=response.nonce))
        if response.type_url == _CLUSTER:
            for one in response.resources:
                if one.name not in self.held:
                    await stream.write(Request(type_url=_ENDPOINTS, resource_names_subscribe=[one.name]))
            return
        for one in response.resources:
            self._hold(one.name, ClusterLoadAssignment.FromString(one.resource.value), moment)

    def _hold(self, name: str, assignment: ClusterLoadAssignment, moment: float) -> None:
        sockets = (
            endpoint.endpoint.address.socket_address
            for locality in assignment.endpoints
            for endpoint in locality.lb_endpoints
        )
        found = frozenset(socket.address for socket in sockets)
        before = self.held.get(name, Held())
        self.appeared += [(address, moment) for address in found - before.endpoints]
        if found != before.endpoints or name not in self.held:
            self.held[name] = Held(found, moment)
        if len(self.held) == len(self.services):
            self.is_complete.set()

    def report(self) -> dict[str, Any]:
        """Return what it has received, as JSON."""
        held = {
            name: {"endpoints": sorted(one.endpoints), "changed": one.changed} for name, one in self.held.items()
        }
        return {"held": held, "appeared": self.appeared, "responses": self.responses, "bytes": self.bytes}


async def _run(xds: str, sidecars: int, services: int, result: Path) -> None:
    clients = [Client(number, used_by(number, services)) for number in range(sidecars)]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    tasks = [asyncio.create_task(client.run(xds)) for client in clients]
    for client in clients:
        await client.is_complete.wait()
    print("ready", flush=True)
    await ended.wait()
    _write(result, clients)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _write(result: Path, clients: list[Client]) -> None:
    result.write_text(json.dumps([client.report() for client in clients]), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
