"""Golden files of a mesh with two of everything: carriers, hosts, previews, scenarios, namespaces, ports and keys.

Where `test_golden.py` has files that people read field by field, these show that nothing changes unseen: code is a
digest, and what stands in several places is written once. `UPDATE_GOLDEN=1` writes them anew; read the difference.
"""

import json
import os
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict

from detour.envoy.vocabulary import (
    EDGE_ROUTES,
    EDGE_ROUTES_TRUSTED,
    OUTBOUND_MANAGERS,
    OUTBOUND_ROUTES,
    TOKEN_FILTER,
)
from detour.mesh import (
    Carrier,
    Endpoint,
    Mesh,
    Naming,
    OffloadedDeployment,
    Port,
    Protocol,
    PublicKey,
    RetryPolicy,
    Scenarios,
    Service,
    Settings,
    TrustedProxies,
)
from detour.overrides import parse_words
from detour.xds.catalog import CLUSTER, ENDPOINTS, FILTERS, ROUTES, Catalog, Key
from detour.xds.edge.settings import EDGE_SETTINGS

LONG = 40
GOLDEN = Path(__file__).with_name("golden") / "full"


def at(*numbers: int) -> tuple[Endpoint, ...]:
    """Return endpoints."""
    return tuple(Endpoint(f"10.0.{number // 256}.{number % 256}", 8000 + number) for number in numbers)


SERVICES = [
    Service("users", at(1, 2), timeout=timedelta(seconds=1.5)),
    Service(
        "web",
        at(3),
        ports={8080: Port(endpoints=at(3)), 9090: Port(Protocol.HTTP2, at(4, 5)), 443: Port(Protocol.TCP, at(6))},
    ),
    Service("users.pay", at(7), Protocol.HTTP2, timedelta(milliseconds=2500)),
    Service("drivers.pay", at(8, 9), Protocol.HTTP2, None, RetryPolicy(3, ("reset", "unavailable"))),
    Service("db", at(10), Protocol.TCP),
    Service("empty", ()),
]
DEPLOYMENTS = [
    OffloadedDeployment("users", "pr-42", at(11, 12)),
    OffloadedDeployment("users", "empty", ()),
    OffloadedDeployment("web", "v2", at(13), ports={8080: at(13), 9090: ()}),
    OffloadedDeployment("users.pay", "pr-1", at(14)),
    OffloadedDeployment("gone", "pr-1", at(15)),
]
SETTINGS = Settings(
    carriers=(Carrier.BAGGAGE, Carrier.OPENTRACING),
    edge_hosts=MappingProxyType({"app.example.test": "web", "*.example.test": "users"}),
    edge_previews=MappingProxyType({"preview.test": "web", "p.example.test": "users"}),
    edge_url="https://app.example.test:8443",
    naming=Naming("shop", "cluster.test"),
    edge_parameter="in.scenario",
    edge_cookie_domain="example.test",
    edge_trusted_proxies=TrustedProxies(("10.0.0.0/8", "fd00::/8")),
)
SCENARIOS = Scenarios(
    MappingProxyType(
        {
            "checkout": parse_words(["users=pr-42", "delay.web=300ms", "abort.web=503", "config.text=50%"]),
            "grpc": parse_words(["abort.users=14", "delay.users=1.5s", "web=v2", "missing=baseline"]),
            "true": parse_words(["users.pay=pr-1"]),
        }
    ),
    MappingProxyType({"old": "expired on 01 November 2026 at 12:00 UTC", "2": "removed <by> ana & bo, 100%"}),
)
KEYS = (PublicKey("first", "c2NqZQ"), PublicKey("second", "dHdvdA"))
FULL = replace(Mesh.of(SERVICES, DEPLOYMENTS, SETTINGS), scenarios=SCENARIOS, keys=KEYS)
BADGE = replace(FULL, settings=replace(SETTINGS, edge_badge=True))
UNSIGNED = replace(FULL, keys=None)
BAGGAGE = replace(
    FULL, settings=replace(SETTINGS, carriers=(Carrier.BAGGAGE,), edge_hosts=MappingProxyType({"*": "web"}))
)
OFF = replace(FULL, settings=replace(SETTINGS, overrides_off="an incident, 100% of it"))

NAMES = [
    *(
        "users",
        "users:8080",
        "users.pay",
        "drivers.pay",
        "db",
        "db:5432",
        "empty",
        "web",
        "web:8080",
        "web:9090",
        "web:443",
    ),
    *(
        "web:80",
        "web:443@v2",
        "web:9090@v2",
        "web:9090@v2,baseline",
        "web:8080@v2",
        "users@pr-42",
        "users:81@pr-42,baseline",
    ),
    *(
        "users@empty",
        "users@empty,baseline",
        "users.pay@pr-1",
        "gone@pr-1",
        "gone",
        "elsewhere.test",
        "elsewhere.test:443",
    ),
    *(
        "connect@users:443",
        "connect@users:80",
        "connect@users.pay:443",
        "connect@db:443",
        "connect@web:443",
        "connect@web:9090",
    ),
    *("connect@db:443,overrides", "connect@users:80,overrides", "connect@elsewhere.test:443", "connect@web:1"),
    *(
        "connect@elsewhere.test:443,overrides",
        "users.svc.cluster.test",
        "users.shop",
        "users.svc",
        "[::1]:80",
        "@",
        "x" * 200,
    ),
    *("a@" + "b" * 198, "a@" + "b" * 199, ""),
]
CASES = {
    "clusters-shop": (FULL, "shop", [Key(CLUSTER, name) for name in NAMES]),
    "clusters-pay": (FULL, "pay", [Key(CLUSTER, name) for name in ("users", "users.shop", "connect@drivers:80")]),
    "endpoints-shop": (FULL, "shop", [Key(ENDPOINTS, name) for name in NAMES]),
    "endpoints-pay": (FULL, "pay", [Key(ENDPOINTS, name) for name in ("users", "users.shop", "users@pr-1")]),
    "outbound-pay": (FULL, "pay", [Key(ROUTES, OUTBOUND_ROUTES)]),
    "outbound-off": (OFF, "", [Key(ROUTES, OUTBOUND_ROUTES)]),
    "edge": (FULL, "shop", [Key(ROUTES, EDGE_ROUTES)]),
    "edge-trusted": (FULL, "shop", [Key(ROUTES, EDGE_ROUTES_TRUSTED)]),
    "edge-badge": (BADGE, "shop", [Key(ROUTES, EDGE_ROUTES)]),
    "edge-badge-trusted": (BADGE, "shop", [Key(ROUTES, EDGE_ROUTES_TRUSTED)]),
    "edge-unsigned": (UNSIGNED, "shop", [Key(ROUTES, EDGE_ROUTES)]),
    "edge-baggage-trusted": (BAGGAGE, "shop", [Key(ROUTES, EDGE_ROUTES_TRUSTED)]),
    "edge-off": (OFF, "shop", [Key(ROUTES, EDGE_ROUTES), Key(ROUTES, EDGE_ROUTES_TRUSTED)]),
    "edge-empty": (Mesh(), "", [Key(ROUTES, EDGE_ROUTES), Key(ROUTES, EDGE_ROUTES_TRUSTED)]),
    "filters": (
        FULL,
        "shop",
        [Key(FILTERS, name) for name in (TOKEN_FILTER, EDGE_SETTINGS, *sorted(OUTBOUND_MANAGERS))],
    ),
    "filters-empty": (Mesh(), "", [Key(FILTERS, name) for name in (TOKEN_FILTER, EDGE_SETTINGS)]),
}


@pytest.mark.parametrize("case", CASES)
def test_resources_are_as_written_down(case: str) -> None:
    """Each resource, with every field."""
    mesh, namespace, keys = CASES[case]
    catalog = Catalog(mesh, namespace)
    compare(case, {key.name: readable(catalog.resource(key)) for key in keys})


def test_tables_with_hosts_are_as_written_down() -> None:
    """Those of sidecars that have clusters already; overrides may be switched off."""
    hosts = ("users", "users.pay:80")
    found = {name: Catalog(mesh, "shop").outbound_routes(hosts) for name, mesh in (("on", FULL), ("off", OFF))}
    compare("outbound-hosts", {name: readable(one) for name, one in found.items()})


def test_what_there_is_none_of() -> None:
    """Of other types and names."""
    catalog = Catalog(FULL, "shop")
    for key in (Key(ROUTES, "other"), Key(FILTERS, "other"), Key("type.googleapis.com/other", "users")):
        assert catalog.resource(key) is None


def compare(case: str, found: dict[str, object]) -> None:
    """Compare resources with a golden file."""
    text = yaml.dump(shared(found, {}), Dumper=Dumper, sort_keys=True, width=110)
    golden = GOLDEN / f"{case}.out.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def readable(resource) -> object:
    """Return a resource's content as plain data; its name says what it is."""
    wrapped = resource.resource
    message = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(wrapped.TypeName()))()
    wrapped.Unpack(message)
    return MessageToDict(message, preserving_proto_field_name=True)


class Dumper(yaml.SafeDumper):
    """Writes once what stands in several places, long texts too."""

    def ignore_aliases(self, data: object) -> bool:
        """Say what is written each time."""
        return len(data) < LONG if isinstance(data, str) else super().ignore_aliases(data)


def shared(value: object, seen: dict[str, object]) -> object:
    """Return a value with digests in the place of code, and with one object for all that are equal."""
    if isinstance(value, str):
        lines = value.count("\n")
        text = f"{sha256(value.encode()).hexdigest()[:16]}, {lines} lines" if lines > 5 else value
        return seen.setdefault(text, text)
    if isinstance(value, list):
        made = [shared(one, seen) for one in value]
    elif isinstance(value, dict):
        made = {key: shared(one, seen) for key, one in value.items()}
    else:
        return value
    text = json.dumps(made, sort_keys=True)
    return seen.setdefault(text, made) if len(text) > LONG else made
