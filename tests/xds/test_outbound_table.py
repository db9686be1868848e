"""The order of a sidecar's route table, as transcripts of its state machine alone."""

from collections import defaultdict

import pytest

from detour.envoy.vocabulary import OUTBOUND_MANAGER, OUTBOUND_ROUTES
from detour.mesh import Endpoint, Mesh, Service
from detour.xds.catalog import CLUSTER, ENDPOINTS, FILTERS, ROUTES, Catalog, Key
from detour.xds.outbound_table import OutboundTable
from detour.xds.subscription import Subscription

USERS = Service("users", (Endpoint("127.0.0.1", 9001),))
WEB = Service("web", (Endpoint("127.0.0.1", 9002),))
MANAGER = Key(FILTERS, OUTBOUND_MANAGER)

Subscriptions = defaultdict[str, Subscription]


@pytest.fixture
def subscriptions() -> Subscriptions:
    """Return those of a sidecar that has the table and holds users."""
    made: Subscriptions = defaultdict(Subscription)
    made[ROUTES].sent[OUTBOUND_ROUTES] = "v1"
    for type_url in (CLUSTER, ENDPOINTS):
        made[type_url].acknowledged["users"] = "v1"
    return made


@pytest.fixture
def catalog() -> Catalog:
    """Return the catalog of two services."""
    return Catalog(Mesh.of([USERS, WEB]))


def test_a_cluster_that_the_sidecar_holds_makes_the_table_due(
    subscriptions: Subscriptions, catalog: Catalog
) -> None:
    """Once: the table that is then made has its host."""
    table = OutboundTable(catalog, subscriptions)
    table.held(["users"])
    assert (table.has_new_hosts, list(subscriptions[ROUTES].due)) == (True, [OUTBOUND_ROUTES])
    made = table.resource()
    assert made.version != catalog.outbound_routes(()).version
    subscriptions[ROUTES].due.clear()
    table.held(["users"])
    assert (table.has_new_hosts, list(subscriptions[ROUTES].due)) == (False, [])


def test_a_cluster_without_its_endpoints_is_not_held(subscriptions: Subscriptions, catalog: Catalog) -> None:
    """Envoy would answer 503."""
    table = OutboundTable(catalog, subscriptions)
    subscriptions[CLUSTER].acknowledged["web"] = "v1"
    table.resource()
    table.held(["web"])
    assert not table.has_new_hosts


def test_a_service_that_ends_leaves_the_table(subscriptions: Subscriptions, catalog: Catalog) -> None:
    """The table becomes due only if it names the service."""
    table = OutboundTable(catalog, subscriptions)
    table.resource()
    catalog.replace(Mesh.of([WEB]), {"users"})
    table.changed(["web"])
    assert not table.has_new_hosts
    table.changed(["users"])
    assert table.has_new_hosts


def test_a_sidecar_that_never_got_the_table_gets_none(catalog: Catalog) -> None:
    """Old sidecars have their own."""
    made: Subscriptions = defaultdict(Subscription)
    for type_url in (CLUSTER, ENDPOINTS):
        made[type_url].acknowledged["users"] = "v1"
    table = OutboundTable(catalog, made)
    table.held(["users"])
    assert not table.has_new_hosts
    assert ROUTES not in made


def test_managers_wait_for_the_table(subscriptions: Subscriptions, catalog: Catalog) -> None:
    """They become due when it is sent; other filters wait for nothing."""
    table = OutboundTable(catalog, subscriptions)
    assert not table.delays(MANAGER)
    del subscriptions[ROUTES].sent[OUTBOUND_ROUTES]
    assert table.delays(MANAGER)
    assert not table.delays(Key(FILTERS, "another"))
    subscriptions[FILTERS].sent.update({OUTBOUND_MANAGER: "", "another": "v1"})
    table.sent()
    assert list(subscriptions[FILTERS].due) == [OUTBOUND_MANAGER]
