"""The values that a mesh is made of.

Names of services and deployments are made of `[A-Za-z0-9._-]` and start with a letter or digit, at most
63 characters, so that they pass through baggage, host names and Envoy's cluster names unchanged. Service
names are lower case, as host names are.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from detour.mesh.naming import Naming
from detour.mesh.override_tokens import PublicKey
from detour.mesh.trusted_proxies import TrustedProxies
from detour.overrides import Overrides

NAME_MAX = 63

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_MAX - 1}}}", re.ASCII)
_ENDPOINT = re.compile(
    r"(?:(?P<v4>localhost|[0-9.]+)|\[(?P<v6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+)\]):(?P<port>[0-9]{1,5})"
)

_HTTP: Final = 80


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


def is_name(text: str) -> bool:
    """Say whether `text` can name a service or a deployment."""
    return _NAME.fullmatch(text) is not None


# Reading an address and making an endpoint of it look at it in turn: a large mesh file has 100,000 of them.
_ip_address = lru_cache(1000)(ip_address)


class Protocol(StrEnum):
    """What a service's instances speak."""

    HTTP1 = "http1"
    HTTP2 = "http2"
    TCP = "tcp"
    """Anything that a sidecar cannot read, such as TLS: passed on as it is, without overrides."""


class Carrier(StrEnum):
    """A header that carries overrides from hop to hop."""

    BAGGAGE = "baggage"
    OPENTRACING = "x-ot-span-context"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where one instance listens: an IP address literal and a TCP port."""

    address: str
    port: int

    def __post_init__(self) -> None:
        _ip_address(self.address)
        if not 0 < self.port < 2**16:
            raise ValueError(f"port {self.port} is not between 1 and 65535")

    @staticmethod
    def parse(text: str) -> "Endpoint":
        """Read `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080` (127.0.0.1).

        Raises:
            ValueError: It is none of these; a host name is not an address that a sidecar can connect to.
        """
        match = _ENDPOINT.fullmatch(text)
        with suppress(ValueError):
            if match:
                host = match["v6"] or match["v4"].replace("localhost", "127.0.0.1")
                return Endpoint(str(_ip_address(host)), int(match["port"]))
        raise ValueError("expected ip:port such as 127.0.0.1:8080")

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after what, a sidecar tries a request again.

    Args:
        attempts: Retries after the first try, 1 to 10.
        on: Envoy's retry conditions, as in `x-envoy-retry-on` (router filter, "x-envoy-retry-on").
    """

    attempts: int
    on: tuple[str, ...] = ("connect-failure", "refused-stream", "unavailable")


@dataclass(frozen=True, slots=True)
class Port:
    """What a service offers at one of its ports."""

    protocol: Protocol = Protocol.HTTP1
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A name that other services call, with its baseline instances.

    Args:
        endpoints: The instances; those of the main port where the service tells its ports apart.
        timeout: The longest that one attempt of a request may take; none by default.
        ports: What is offered at each port, the main one first; empty where every port means the same.
    """

    name: str
    endpoints: tuple[Endpoint, ...] = ()
    protocol: Protocol = Protocol.HTTP1
    timeout: timedelta | None = None
    retries: RetryPolicy | None = None
    ports: Mapping[int, Port] = field(default_factory=_nothing)

    @property
    def is_unread(self) -> bool:
        """Whether sidecars pass on all that it speaks unread, so that no override of it can have an effect."""
        protocols = {port.protocol for port in self.ports.values()} or {self.protocol}
        return protocols == {Protocol.TCP}

    @property
    def why_unread(self) -> str:
        """The same for people, with what to do."""
        return (
            f"{self.name} has protocol tcp, which sidecars pass on unread: no override can choose a deployment of"
            " it, delay it or abort it. If it speaks HTTP/1.1 or HTTP/2 in plain text, let the mesh say so"
            " (protocol: http1 or http2; on Kubernetes appProtocol)"
        )

    def port_number(self, asked: int | None) -> int | None:
        """Return the port that a call to this one means; None if all ports of the service mean the same.

        A call without a port means 80 (RFC 9110, section 4.2.1), or else the main one.
        """
        if asked is None and self.ports:
            return _HTTP if _HTTP in self.ports else next(iter(self.ports))
        return asked if self.ports else None

    def at(self, asked: int | None) -> Port | None:
        """Return what is offered at a port; None if there is no such port."""
        if not self.ports:
            return Port(self.protocol, self.endpoints)
        return self.ports.get(self.port_number(asked) or 0)


@dataclass(frozen=True, slots=True)
class OffloadedDeployment:
    """Instances of a service that run beside its baseline, out of service discovery.

    Args:
        expires: When the control plane removes it (timezone-aware); never by default.
        ports: The instances by the service's port, where they are not the same at each.
    """

    service: str
    name: str
    endpoints: tuple[Endpoint, ...] = ()
    owner: str = ""
    expires: datetime | None = None
    ports: Mapping[int, tuple[Endpoint, ...]] = field(default_factory=_nothing)

    def at(self, port_number: int | None) -> tuple[Endpoint, ...]:
        """Return the instances behind a port of the service, as `Service.port_number` gives it."""
        if not self.ports or port_number is None:
            return self.endpoints
        return self.ports.get(port_number, ())

    @property
    def key(self) -> tuple[str, str]:
        """The service's name and its own: what identifies it in a mesh."""
        return self.service, self.name

    def __str__(self) -> str:
        return f"{self.service}@{self.name}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole mesh.

    Args:
        carriers: The headers in which overrides are honoured.
        edge_hosts: Host name (or `*`, or `*.example.test`) that an edge serves, to the service behind it.
        edge_previews: Domain, below which each scenario has a host of its own, to the service behind it.
        edge_url: Where people reach an edge, such as `https://staging.example.test:8443`; empty if unknown.
        edge_badge: Whether pages in a scenario carry a badge that names it.
        naming: Which service a host name means.
        edge_parameter: The query parameter of links into a scenario.
        edge_cookie_domain: The domain, on all of whose hosts the cookie of a scenario holds; by default on the one
            host that it was entered on.
        overrides_off: Why overrides count for nothing, in printable ASCII; empty if they count.
        edge_trusted_proxies: Whom in front of an edge it believes what a request says of its way.
    """

    carriers: tuple[Carrier, ...] = (Carrier.BAGGAGE,)
    edge_hosts: Mapping[str, str] = field(default_factory=_nothing)
    edge_previews: Mapping[str, str] = field(default_factory=_nothing)
    edge_url: str = ""
    edge_badge: bool = False
    naming: Naming = field(default_factory=Naming)
    edge_parameter: str = "detour"
    edge_cookie_domain: str = ""
    overrides_off: str = ""
    edge_trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)

    def links(self, scenario: str) -> tuple[str, ...]:
        """Return the links that open an edge in a scenario: its preview hosts, then the edge's own address."""
        if not self.edge_url:
            return ()
        scheme, _, authority = self.edge_url.partition("://")
        _, colon, port = authority.partition(":")
        previews = (f"{scheme}://{scenario}.{domain}{colon}{port}/" for domain in sorted(self.edge_previews))
        return (*previews, f"{self.edge_url}/?{self.edge_parameter}={scenario}")

    @property
    def only_host_of_links(self) -> str:
        """The one host that the link with the query parameter holds on; empty where it holds on all others too."""
        host = urlsplit(self.edge_url).hostname or ""
        return "" if self.edge_cookie_domain or set(self.edge_hosts) <= {host} else host


@dataclass(frozen=True, slots=True)
class Scenarios:
    """What edges know of scenarios.

    Args:
        live: Name to overrides, of those that can be entered.
        ended: Name to what became of it, of those whose time is over: "expired at ...".
    """

    live: Mapping[str, Overrides] = field(default_factory=_nothing)
    ended: Mapping[str, str] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Everything that the control plane knows at one moment.

    Deployments may name a service that the mesh lacks: it may come later, and nothing can reach them before.

    Args:
        scenarios: None without a database, so that edges need not look for any.
        keys: Those of the tokens with which overrides from outside count; None without a database.
    """

    services: Mapping[str, Service] = field(default_factory=_nothing)
    deployments: Mapping[tuple[str, str], OffloadedDeployment] = field(default_factory=_nothing)
    settings: Settings = field(default_factory=Settings)
    scenarios: Scenarios | None = None
    keys: tuple[PublicKey, ...] | None = None

    @staticmethod
    def of(
        services: Iterable[Service] = (),
        deployments: Iterable[OffloadedDeployment] = (),
        settings: Settings | None = None,
    ) -> "Mesh":
        """Build a mesh; of two values with one name the later one wins."""
        return Mesh(
            services=MappingProxyType({service.name: service for service in services}),
            deployments=MappingProxyType({deployment.key: deployment for deployment in deployments}),
            settings=settings or Settings(),
        )

    def deployment(self, service: str, name: str) -> OffloadedDeployment | None:
        """Find the deployment `name` of `service`."""
        return self.deployments.get((service, name))
