"""The keys of a mesh file, their values, and the mesh that they describe."""

import re
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from detour import mesh
from detour.mesh import Carrier, Endpoint, Protocol, is_name, parse_duration
from detour.mesh.endpoint_rules import never

_Value = TypeVar("_Value")
_Item = TypeVar("_Item", bound=Hashable)

_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,63}", re.ASCII)
_EDGE_URL = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?/?", re.ASCII)

LIST = "list"
"""The type of pydantic's error where a list as a whole is wrong; its message is complete."""

# Router filter, "x-envoy-retry-on" and "x-envoy-retry-grpc-on". Envoy silently ignores unknown conditions, so they
# are checked here. Missing are those that have no effect without settings that a mesh file does not have:
# retriable-status-codes, retriable-headers and http3-post-connect-failure.
RetryCondition = Literal[
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
]


def _from_text(parse: Callable[[str], _Value]) -> PlainValidator:
    """Read a value with `parse`; a value that is not text fails with the same message as an empty text."""
    return PlainValidator(lambda value: parse(value if isinstance(value, str) else ""))


def _distinct(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
    for item, times in Counter(items).items():
        if times > 1:
            raise PydanticCustomError(LIST, f"expected each only once, {item} is there {times} times")
    return items


def _some(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
    if not items:
        raise PydanticCustomError(LIST, "expected at least one")
    return items


def _with_baggage(carriers: tuple[Carrier, ...]) -> tuple[Carrier, ...]:
    if Carrier.BAGGAGE not in carriers:
        raise PydanticCustomError(LIST, "expected baggage among them: sidecars always honour it")
    return carriers


def _service_name(text: str) -> str:
    if not is_name(text) or text != text.lower():
        raise ValueError("expected a name of at most 63 lower-case letters, digits, dots, dashes and underscores")
    return text


def _deployment_name(text: str) -> str:
    if not is_name(text):
        raise ValueError("expected a name of at most 63 letters, digits, dots, dashes and underscores")
    return text


def _host(text: str) -> str:
    name = text.removeprefix("*.")
    if text != "*" and (not name or name != name.lower() or not all(map(is_name, name.split(".")))):
        raise ValueError('expected a lower-case host name without port, or "*", or such as "*.example.test"')
    return text


def _domain(text: str) -> str:
    if not text or text != text.lower() or not all(map(is_name, text.split("."))):
        raise ValueError('expected a lower-case domain without port, such as "preview.example.test"')
    return text


def _flag(value: object) -> bool:
    match value:
        case bool():
            return value
        case "true" | "false":
            return value == "true"
    raise ValueError("expected true or false")


def _edge_url(text: str) -> str:
    if not _EDGE_URL.fullmatch(text):
        raise ValueError("expected where people reach the edge, such as https://staging.example.test:8443")
    return text.removesuffix("/")


def _parameter(text: str) -> str:
    if not _PARAMETER.fullmatch(text):
        raise ValueError(
            "expected the name of a query parameter: at most 63 letters, digits, dots, dashes, underscores"
        )
    return text


def _trusted_proxies(value: object) -> mesh.TrustedProxies:
    is_list = isinstance(value, list) and all(isinstance(item, str) and not item.isdecimal() for item in value)
    return mesh.TrustedProxies.parse(value if isinstance(value, list) and is_list else [str(value or "")])


def _moment(text: str) -> datetime:
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            return moment.astimezone(UTC)
    raise ValueError("expected a date, time and zone, such as 2030-01-01T00:00:00Z")


def _endpoint(text: str) -> Endpoint:
    endpoint = Endpoint.parse(text)
    if why := never(endpoint.address):
        raise ValueError(f"expected an address where an instance can be ({why})")
    return endpoint


def _attempts(text: str) -> int:
    if text not in map(str, range(1, 11)):
        raise ValueError("expected a whole number from 1 to 10")
    return int(text)


_Blank = BeforeValidator(lambda value: {} if value is None else value)
_Short = BeforeValidator(lambda value: {"attempts": value} if isinstance(value, str) else value)
_Some = AfterValidator(_some)
_Distinct = AfterValidator(_distinct)


def _text(pattern: str, **more: Any) -> WithJsonSchema:
    """Describe a text for editors: names such as 42 are text here, but numbers to an editor."""
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{pattern})$", **more})


_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_LOWER_NAME = "[a-z0-9][a-z0-9._-]{0,62}"

ServiceName = Annotated[str, _from_text(_service_name), _text(_LOWER_NAME)]
DeploymentName = Annotated[str, _from_text(_deployment_name), _text(_NAME)]
Host = Annotated[str, _from_text(_host), _text(r"\*|(?:\*\.)?[a-z0-9._-]+")]
Flag = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"enum": [True, False, "true", "false"]})]
EdgeUrl = Annotated[str, _from_text(_edge_url), _text(_EDGE_URL.pattern)]
Domain = Annotated[str, _from_text(_domain), _text("[a-z0-9._-]+")]
Parameter = Annotated[str, _from_text(_parameter), WithJsonSchema({"type": ["string", "number", "boolean"]})]
TrustedProxies = Annotated[
    mesh.TrustedProxies,
    PlainValidator(_trusted_proxies),
    WithJsonSchema({"type": ["array", "integer", "string"], "items": {"type": "string"}}),
]
Timeout = Annotated[timedelta, _from_text(parse_duration), _text("[0-9]{1,12}(?:ms|s|m|h|d)")]
Moment = Annotated[datetime, _from_text(_moment), WithJsonSchema({"type": "string"})]
Attempts = Annotated[int, _from_text(_attempts), WithJsonSchema({"enum": [*range(1, 11), *map(str, range(1, 11))]})]
Owner = Annotated[str, WithJsonSchema({"type": ["string", "number", "boolean"]})]
Endpoints = Annotated[tuple[Annotated[Endpoint, _from_text(_endpoint), _text(r".+:[0-9]{1,5}")], ...], _Distinct]


class Keys(BaseModel):
    """A mapping in a mesh file, with no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Retries(Keys):
    """`retries: {attempts: 2, on: [5xx]}`, or `retries: 2` for short."""

    attempts: Attempts
    """How often a failed request is sent again, from 1 to 10."""
    on: Annotated[tuple[RetryCondition, ...], _Some, _Distinct] | None = None
    """Which failures are retried, by Envoy's names; by default the safe ones."""

    def value(self) -> mesh.RetryPolicy:
        """Return the policy."""
        return mesh.RetryPolicy(self.attempts, self.on) if self.on else mesh.RetryPolicy(self.attempts)


class Deployment(Keys):
    """An offloaded deployment of a service."""

    endpoints: Endpoints
    """Where its instances listen, such as 127.0.0.1:9102; an empty list while there is none."""
    owner: Owner = ""
    """Who answers for it."""
    expires: Moment | None = None
    """When it ends: date, time and zone, such as 2030-01-01T00:00:00Z."""

    def value(self, service: str, name: str) -> mesh.OffloadedDeployment:
        """Return the deployment, with its service's name and its own."""
        return mesh.OffloadedDeployment(service, name, self.endpoints, self.owner, self.expires)


class Service(Keys):
    """A service with its baseline instances."""

    endpoints: Endpoints
    """Where its baseline instances listen, such as 127.0.0.1:9001."""
    protocol: Protocol = Protocol.AUTO
    """What its instances speak: http1, http2 (gRPC), or auto, what each caller speaks; tcp is passed on unread."""
    timeout: Timeout | None = None
    """How long a response may take to begin, such as 5s."""
    retries: Annotated[Retries, _Short] | None = None
    """Which failed requests are sent again, and how often: a number, or attempts and on."""
    deployments: Annotated[dict[DeploymentName, Deployment], _Blank] = {}
    """Its offloaded deployments, by name."""

    def value(self, name: str) -> mesh.Service:
        """Return the service, with its name."""
        retries = self.retries.value() if self.retries else None
        return mesh.Service(name, self.endpoints, self.protocol, self.timeout, retries)


class Edge(Keys):
    """What an edge serves."""

    hosts: Annotated[dict[Host, ServiceName], _Blank] = {}
    """Which service answers for which host; "*" is any other."""
    previews: Annotated[dict[Domain, ServiceName], _Blank] = {}
    """Domains below which each scenario has a host of its own."""
    url: EdgeUrl = ""
    """Where people reach the edge, for the links of scenarios."""
    badge: Flag = False
    """Whether pages in a scenario name it, in a corner."""
    parameter: Parameter = "detour"
    """The query parameter of links into scenarios."""
    cookie_domain: Domain = ""
    """The domain on whose hosts a scenario that was entered by a link holds."""
    trusted_proxies: TrustedProxies = mesh.TrustedProxies()
    """The networks of the proxies in front of the edge, or how many proxies there are."""

    @property
    def settings(self) -> dict[str, Any]:
        """The same as settings of the mesh."""
        return {
            "edge_hosts": MappingProxyType(self.hosts),
            "edge_previews": MappingProxyType(self.previews),
            "edge_url": self.url,
            "edge_badge": self.badge,
            "edge_parameter": self.parameter,
            "edge_cookie_domain": self.cookie_domain,
            "edge_trusted_proxies": self.trusted_proxies,
        }


class File(Keys):
    """A whole mesh file."""

    services: Annotated[dict[ServiceName, Service], _Blank]
    """The services of the mesh, by name."""
    carriers: Annotated[tuple[Carrier, ...], _Some, _Distinct, AfterValidator(_with_baggage)] = (Carrier.BAGGAGE,)
    """The headers that carry overrides."""
    edge: Annotated[Edge, _Blank] = Edge()
    """Which hosts an edge serves, and how people reach it."""

    def value(self) -> mesh.Mesh:
        """Return the mesh."""
        return mesh.Mesh.of(
            (service.value(name) for name, service in self.services.items()),
            (
                deployment.value(service, name)
                for service, keys in self.services.items()
                for name, deployment in keys.deployments.items()
            ),
            mesh.Settings(self.carriers, **self.edge.settings),
        )
