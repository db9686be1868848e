"""The values that a mesh consists of.

Names of services and deployments match `[A-Za-z0-9._-]+`, start with a letter or digit, and have at most 63
characters, so that baggage, host names and Envoy's cluster names can contain them unchanged. Service names are
lower case, like host names.
"""

import re
from collections.abc import Collection, Iterable, Mapping
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

_REMEDY: Final = (
    "If it speaks HTTP or gRPC in plain text, declare that (in the mesh file protocol: http1 or http2; on"
    " Kubernetes appProtocol: http or grpc, or a port name that begins with http or grpc)"
)
"""What to do about connections that sidecars cannot read."""


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


def _at(ports: Collection[int]) -> str:
    if not ports:
        return ""
    return f" at port{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))}"


def is_name(text: str) -> bool:
    """Return whether `text` can name a service or a deployment."""
    return _NAME.fullmatch(text) is not None


# Cached, because parsing an address and creating an endpoint both check it, and a large mesh file has 100,000 of
# them.
_ip_address = lru_cache(1000)(ip_address)


class Protocol(StrEnum):
    """The protocol of a service's instances."""

    AUTO = "auto"
    """Not declared: Envoy speaks the protocol of each request, HTTP/1.1 or HTTP/2."""
    HTTP1 = "http1"
    HTTP2 = "http2"
    TCP = "tcp"
    """A protocol that sidecars cannot read, such as TLS: forwarded unchanged, without overrides."""


class Carrier(StrEnum):
    """A header that carries overrides from hop to hop."""

    BAGGAGE = "baggage"
    OPENTRACING = "x-ot-span-context"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """The address of one instance: an IP address literal and a TCP port."""

    address: str
    port: int

    def __post_init__(self) -> None:
        _ip_address(self.address)
        if not 0 < self.port < 2**16:
            raise ValueError(f"port {self.port} is not between 1 and 65535")

    @staticmethod
    def parse(text: str) -> "Endpoint":
        """Parse `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080` (127.0.0.1).

        Raises:
            ValueError: The text has another form. Host names are not accepted, because sidecars connect to
            addresses only.
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
    """When and how often a sidecar retries a request.

    Args:
        attempts: Maximum number of retries, 1 to 10.
        on: Envoy's retry conditions, as in `x-envoy-retry-on` (router filter, "x-envoy-retry-on").
    """

    attempts: int
    on: tuple[str, ...] = ("connect-failure", "refused-stream", "unavailable")


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a service."""

    protocol: Protocol = Protocol.AUTO
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A name that other services call, with its baseline instances.

    Args:
        endpoints: The instances; if the service distinguishes its ports, those of the main port.
        timeout: Maximum duration of one attempt of a request; None for no limit.
        ports: The service's ports, the main one first; empty if all ports mean the same.
    """

    name: str
    endpoints: tuple[Endpoint, ...] = ()
    protocol: Protocol = Protocol.AUTO
    timeout: timedelta | None = None
    retries: RetryPolicy | None = None
    ports: Mapping[int, Port] = field(default_factory=_nothing)

    @property
    def is_unread(self) -> bool:
        """Whether sidecars cannot read the service's protocol, so that overrides of it have no effect."""
        protocols = {port.protocol for port in self.ports.values()} or {self.protocol}
        return protocols == {Protocol.TCP}

    @property
    def why_unread(self) -> str:
        """The explanation of `is_unread`, with what to do."""
        return (
            f"{self.name} has protocol tcp{_at(self.ports)}: sidecars pass its connections through unread, so no"
            f" override can choose a deployment of it, delay it or abort it. {_REMEDY}. For another database, use"
            " override.db of the service that connects to it"
        )

    @property
    def unread_ports(self) -> tuple[int, ...]:
        """The ports that overrides do not affect, in a service where they affect others."""
        if self.is_unread:
            return ()
        return tuple(number for number, port in self.ports.items() if port.protocol is Protocol.TCP)

    @property
    def why_partly_unread(self) -> str:
        """The explanation of `unread_ports`, with what to do; empty if there are none."""
        if not self.unread_ports:
            return ""
        return (
            f"{self.name} has protocol tcp{_at(self.unread_ports)}: sidecars pass connections to it through unread,"
            f" so overrides have no effect there; they apply to its other ports. {_REMEDY}"
        )

    @property
    def override_warning(self) -> str:
        """What overrides of calls to the service do not affect, and what to do; empty if they affect all of it."""
        return self.why_unread if self.is_unread else self.why_partly_unread

    def port_number(self, asked: int | None) -> int | None:
        """Return the service's port that a call to a port reaches; None if all its ports mean the same.

        A call without a port means 80 (RFC 9110, section 4.2.1) or, if the service has no port 80, the main port.
        """
        if asked is None and self.ports:
            return _HTTP if _HTTP in self.ports else next(iter(self.ports))
        return asked if self.ports else None

    def at(self, asked: int | None) -> Port | None:
        """Return the port that a call to a port number reaches; None if that port does not exist."""
        if not self.ports:
            return Port(self.protocol, self.endpoints)
        return self.ports.get(self.port_number(asked) or 0)


@dataclass(frozen=True, slots=True)
class OffloadedDeployment:
    """Instances of a service that run beside its baseline, outside service discovery.

    Args:
        expires: When the control plane removes the deployment (timezone-aware); None for never.
        ports: The instances by the service's port, if they differ between ports.
    """

    service: str
    name: str
    endpoints: tuple[Endpoint, ...] = ()
    owner: str = ""
    expires: datetime | None = None
    ports: Mapping[int, tuple[Endpoint, ...]] = field(default_factory=_nothing)

    def at(self, port_number: int | None) -> tuple[Endpoint, ...]:
        """Return the instances for a port of the service, as returned by `Service.port_number`."""
        if not self.ports or port_number is None:
            return self.endpoints
        return self.ports.get(port_number, ())

    @property
    def key(self) -> tuple[str, str]:
        """The service's name and the deployment's name, which identify it in a mesh."""
        return self.service, self.name

    def __str__(self) -> str:
        return f"{self.service}@{self.name}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the whole mesh.

    Args:
        carriers: The headers that may carry overrides.
        edge_hosts: The host names that an edge serves (also `*` and `*.example.test`), each with the service behind
            it.
        edge_previews: The preview domains, each with the service behind it. Each scenario has a host below them.
        edge_url: The address of an edge for people, such as `https://staging.example.test:8443`; empty if unknown.
        edge_badge: Whether pages in a scenario show a badge with its name.
        naming: Maps host names to services.
        edge_parameter: The query parameter of links into a scenario.
        edge_cookie_domain: The domain of a scenario's cookie, which applies to all its hosts; by default only to
            the host where the user entered the scenario.
        overrides_off: Why overrides are ignored, in printable ASCII; empty if they are not.
        edge_trusted_proxies: The proxies in front of an edge whose forwarding headers it trusts.
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
        """The only host that the link with the query parameter applies to; empty if it applies to all hosts."""
        host = urlsplit(self.edge_url).hostname or ""
        return "" if self.edge_cookie_domain or set(self.edge_hosts) <= {host} else host


@dataclass(frozen=True, slots=True)
class Scenarios:
    """The scenarios, as edges need them.

    Args:
        live: The scenarios that can be entered: name to overrides.
        ended: The scenarios that have ended: name to description, such as "expired at ...".
    """

    live: Mapping[str, Overrides] = field(default_factory=_nothing)
    ended: Mapping[str, str] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Everything that the control plane knows at one moment.

    A deployment may belong to a service that the mesh lacks. The service may be added later, and until then nothing
    reaches the deployment.

    Args:
        scenarios: None without a database; edges then do not look for scenarios.
        keys: The public keys of tokens that permit overrides from outside; None without a database.
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
        """Build a mesh. Of two values with one name the later one wins."""
        return Mesh(
            services=MappingProxyType({service.name: service for service in services}),
            deployments=MappingProxyType({deployment.key: deployment for deployment in deployments}),
            settings=settings or Settings(),
        )

    def deployment(self, service: str, name: str) -> OffloadedDeployment | None:
        """Return the deployment `name` of `service`, if it exists."""
        return self.deployments.get((service, name))
