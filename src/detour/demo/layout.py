"""The ports of every part of the demo's mesh, and the mesh file and Envoy settings derived from them.

Invariant: pure except `choose`, which takes free ports; everything listens on loopback.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detour.demo.ports import Ports
from detour.demo.topology import ENTRANCE, GRPC, QUEUE, Instance, Service, Topology
from detour.envoy import Edge, Sidecar

_PREFERRED_EDGE_PORT = 8000


@dataclass(frozen=True, slots=True)
class InstancePorts:
    """The ports of one instance and its sidecar."""

    app: int
    inbound: int
    outbound: int
    admin: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The ports of all parts and of each instance, by its name.

    Args:
        topology: The services and instances.
        broker: The port of the queues' broker.
    """

    topology: Topology
    xds: int
    api: int
    edge: int
    edge_admin: int
    broker: int
    instances: Mapping[str, InstancePorts]

    @property
    def edge_url(self) -> str:
        """The URL that people send requests to."""
        return f"http://{_local(self.edge)}"

    @property
    def api_url(self) -> str:
        """The URL of the server's API."""
        return f"http://{self.api_address}"

    @property
    def api_address(self) -> str:
        """The address of the server's API, as `ip:port`."""
        return _local(self.api)

    @property
    def broker_url(self) -> str:
        """The URL of the queues' broker, a Redis server."""
        return f"redis://{_local(self.broker)}"

    @property
    def xds_address(self) -> str:
        """The address of the control plane for Envoys, as `ip:port`."""
        return _local(self.xds)

    def endpoint(self, instance: str) -> str:
        """Return the address of the instance for callers, as `ip:port`: its sidecar's inbound listener."""
        return _local(self.instances[instance].inbound)

    def mesh_file(self) -> dict[str, Any]:
        """Return the mesh file's content: the baseline only, since offloaded deployments are registered later."""
        # Calls to a service behind a queue go through no sidecar, so the mesh does not contain it.
        services = {one.name: self._service(one) for one in self.topology if one.scheme != QUEUE}
        return {"services": services, "edge": {"hosts": {"*": ENTRANCE}, "url": self.edge_url}}

    def sidecar(self, instance: Instance) -> Sidecar:
        """Return the settings of the instance's sidecar."""
        ports = self.instances[instance.name]
        return Sidecar(
            service=instance.service,
            instance=instance.name,
            app_port=ports.app,
            outbound_port=ports.outbound,
            inbound_port=ports.inbound,
            admin_port=ports.admin,
            control_plane=self.xds_address,
            deployment=instance.deployment,
        )

    def edge_envoy(self) -> Edge:
        """Return the settings of the edge; it trusts overrides, because only this machine can reach it."""
        return Edge(
            listen=_local(self.edge),
            admin_port=self.edge_admin,
            control_plane=self.xds_address,
            trust_overrides=True,
        )

    def _service(self, service: Service) -> dict[str, Any]:
        protocol = "http2" if service.scheme == GRPC else "http1"
        instances = sorted(self.topology.instances_of(service.name))
        return {"protocol": protocol, "endpoints": [self.endpoint(name) for name in instances]}


def choose(ports: Ports, topology: Topology) -> Layout:
    """Choose free ports; for the edge 8000, if it is free.

    Raises:
        OSError: There are not enough free ports.
    """
    return Layout(
        topology=topology,
        xds=ports.take(),
        api=ports.take(),
        edge=ports.take(_PREFERRED_EDGE_PORT),
        edge_admin=ports.take(),
        broker=ports.take(),
        instances={one.name: InstancePorts(*(ports.take() for _ in range(4))) for one in topology.instances},
    )


def _local(port: int) -> str:
    return f"127.0.0.1:{port}"
