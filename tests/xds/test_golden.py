"""Golden files: from a mesh to Envoy's resources, to be read by people.

`UPDATE_GOLDEN=1 pytest tests/xds/test_golden.py` writes them anew; read the difference before committing it.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToJson

from detour.discovery.mesh_file import parse
from detour.envoy.vocabulary import EDGE_ROUTES, EDGE_ROUTES_TRUSTED, OUTBOUND_ROUTES, TOKEN_FILTER
from detour.mesh import Mesh, PublicKey, Scenarios
from detour.overrides import parse_words
from detour.xds.catalog import CLUSTER, ENDPOINTS, FILTERS, ROUTES, Catalog, Key

GOLDEN = Path(__file__).with_name("golden")
MESH = Path(__file__).with_name("golden") / "mesh.in.yaml"

CASES = {
    "baseline": [(CLUSTER, "users"), (ENDPOINTS, "users")],
    "authority-with-port": [(CLUSTER, "users:8080"), (ENDPOINTS, "users:8080")],
    "http2-timeout-and-retries": [(CLUSTER, "drivers")],
    "deployment": [(CLUSTER, "users@pr-42"), (ENDPOINTS, "users@pr-42")],
    "missing-deployment": [(CLUSTER, "users@pr-404"), (ENDPOINTS, "users@pr-404")],
    "fallback": [(CLUSTER, "users@pr-404,baseline"), (ENDPOINTS, "users@pr-404,baseline")],
    "service-without-instances": [(CLUSTER, "empty"), (ENDPOINTS, "empty")],
    "outside": [(CLUSTER, "example.test:8443")],
    "tunnel": [(CLUSTER, "connect@users:50051"), (CLUSTER, "connect@example.test:443")],
    "meaningless": [(CLUSTER, "users@"), (CLUSTER, "example.test@pr-42"), (ENDPOINTS, "users@")],
    "outbound-routes": [(ROUTES, OUTBOUND_ROUTES)],
    "edge-routes": [(ROUTES, EDGE_ROUTES), (ROUTES, EDGE_ROUTES_TRUSTED)],
}

SCENARIOS = Scenarios(
    MappingProxyType({"checkout": parse_words(["users=pr-42", "delay.users=300ms", "config.text=50%"])}),
    MappingProxyType({"old": "expired on 01 November 2026 at 12:00 UTC"}),
)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    """Return the mesh that all cases are made of."""
    return parse(MESH.read_bytes(), MESH)


@pytest.mark.parametrize("case", CASES)
def test_resources_are_as_written_down(mesh: Mesh, case: str) -> None:
    """Each resource, field by field."""
    catalog = Catalog(mesh)
    text = "\n---\n".join(_yaml(_readable(catalog, Key(*key))) for key in CASES[case])
    golden = GOLDEN / f"{case}.out.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("table", [EDGE_ROUTES, EDGE_ROUTES_TRUSTED])
def test_routes_of_scenarios_are_as_written_down(mesh: Mesh, table: str) -> None:
    """One that lives, one that is over; at an edge that trusts what comes from outside and at one that does not."""
    text = _yaml(_readable(Catalog(replace(mesh, scenarios=SCENARIOS)), Key(ROUTES, table)))
    golden = GOLDEN / f"scenarios-{table.replace('/', '-')}.out.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_what_tokens_change_is_as_written_down(mesh: Mesh) -> None:
    """The token filter with keys, and the routes of an edge, with a scenario that says nothing of its service."""
    scenarios = Scenarios(MappingProxyType({"pay": parse_words(["payments=pr-1"])}))
    keys = (PublicKey("first", "c2NqZQ"), PublicKey("second", "dHdvdA"))
    catalog = Catalog(replace(mesh, scenarios=scenarios, keys=keys))
    text = "\n---\n".join(
        _yaml(_readable(catalog, Key(*key))) for key in ((FILTERS, TOKEN_FILTER), (ROUTES, EDGE_ROUTES))
    )
    golden = GOLDEN / "tokens.out.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_same_mesh_gives_the_same_versions(mesh: Mesh) -> None:
    """In another process too: versions are what a reconnecting Envoy compares."""
    keys = [Key(*key) for case in CASES.values() for key in case]
    first, second = Catalog(mesh), Catalog(parse(MESH.read_bytes(), MESH))
    assert [first.resource(key) for key in keys] == [second.resource(key) for key in keys]


def _readable(catalog: Catalog, key: Key) -> dict:
    wrapped = catalog.resource(key).resource
    message = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(wrapped.TypeName()))()
    wrapped.Unpack(message)
    return json.loads(MessageToJson(message, preserving_proto_field_name=True))


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(message: dict) -> str:
    return yaml.dump(message, Dumper=_Dumper, sort_keys=True, width=110)
