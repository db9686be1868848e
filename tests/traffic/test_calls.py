"""Who called what lately, by a clock that the test has in its hand."""

import pytest
from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest

from detour.mesh import Endpoint, Mesh, Naming, OffloadedDeployment, Port, Protocol, Service, Settings
from detour.traffic.calls import Call, Calls, Count, Seen, counts
from detour.traffic.reporter import Reporter

USERS = Call("rides", None, "users", None)
OFFLOADED = Call("rides", None, "users", "pr-42")
HERE = Endpoint("127.0.0.1", 9001)


def test_a_minute_rolls():
    """Numbers are of the last minute, to the second; that there was a call at all is known for ten."""
    calls = Calls()
    calls.add(Count(USERS, 3, 1), 1000.0)
    calls.add(Count(USERS, 2, 0), 1030.5)
    calls.add(Count(OFFLOADED, 1, 1), 1030.9)
    assert calls.recent(1031.0) == [Seen(USERS, 5, 1, 1030.5), Seen(OFFLOADED, 1, 1, 1030.9)]
    assert calls.recent(1059.9)[0] == Seen(USERS, 5, 1, 1030.5)
    assert calls.recent(1060.0)[0] == Seen(USERS, 2, 0, 1030.5)
    assert calls.recent(1630.4) == [Seen(USERS, 0, 0, 1030.5), Seen(OFFLOADED, 0, 0, 1030.9)]
    assert calls.recent(1630.7) == [Seen(OFFLOADED, 0, 0, 1030.9)]
    assert calls.recent(1631.0) == []


def test_a_call_is_forgotten_after_ten_minutes():
    """To the moment; one that was seen again is not."""
    calls = Calls()
    calls.add(Count(USERS, 1, 0), 1000.0)
    calls.add(Count(OFFLOADED, 1, 0), 1001.0)
    calls.add(Count(USERS, 1, 0), 1002.0)
    assert [one.call for one in calls.recent(1600.9)] == [USERS, OFFLOADED]
    assert [one.call for one in calls.recent(1601.0)] == [USERS]
    assert [one.last for one in calls.recent(1601.9)] == [1002.0]
    assert calls.recent(1602.0) == []


def test_calls_are_sorted():
    """By caller, its deployment, callee, and its deployment; a baseline comes first."""
    calls = Calls()
    for one in (("b", None, "a", None), ("a", "x", "a", None), ("a", None, "b", "x"), ("a", None, "b", None)):
        calls.add(Count(Call(*one), 1, 0), 1000.0)
    assert [one.call for one in calls.recent(1000.0)] == [
        ("a", None, "b", None),
        ("a", None, "b", "x"),
        ("a", "x", "a", None),
        ("b", None, "a", None),
    ]


def test_reports_of_one_second_are_one():
    """Their numbers add up, and go together."""
    calls = Calls()
    for requests, errors in ((3, 1), (5, 2)):
        calls.add(Count(USERS, requests, errors), 1000.0 + requests / 10)
    assert len(calls._tallies[USERS].seconds) == 1
    assert calls.recent(1059.9) == [Seen(USERS, 8, 3, 1000.5)]
    calls.add(Count(USERS, 7, 4), 1059.0)
    assert calls.recent(1060.0) == [Seen(USERS, 7, 4, 1059.0)]


def test_ten_thousand_are_kept():
    """Unless it is said otherwise."""
    calls = Calls()
    for number in range(10_001):
        calls.add(Count(Call("rides", None, f"s-{number}", None), 1, 0), 1000.0)
    found = {one.call.service for one in calls.recent(1000.0)}
    assert (len(found), "s-0" in found, "s-1" in found) == (10_000, False, True)


def test_silence_is_no_call():
    """A report without requests neither begins one nor keeps one."""
    calls = Calls()
    calls.add(Count(USERS, 0, 0), 1000.0)
    assert calls.recent(1000.0) == []


def test_only_so_many_are_kept():
    """The latest ones; and of each no more than its minute, however often it is reported."""
    calls = Calls(at_most=3)
    for number in range(1000):
        calls.add(Count(Call("rides", None, f"s-{number}", None), 1, 0), 1000.0 + number)
        calls.add(Count(USERS, 1, 0), 1000.0 + number)
    assert [one.call.service for one in calls.recent(1999.0)] == ["s-998", "s-999", "users"]
    assert len(calls._tallies[USERS].seconds) <= 60


def report(**clusters: tuple[int, int]) -> LoadStatsRequest:
    """Return a report of good and bad requests to clusters."""
    made = LoadStatsRequest()
    for name, (good, bad) in clusters.items():
        stats = made.cluster_stats.add(cluster_name=name)
        stats.upstream_locality_stats.add(total_successful_requests=good, total_error_requests=bad)
    return made


def test_the_localities_of_a_cluster_are_one():
    """Envoy reports each by itself; a cluster without any has had no requests."""
    made = report(users=(5, 2))
    made.cluster_stats[0].upstream_locality_stats.add(total_successful_requests=10, total_error_requests=4)
    made.cluster_stats.add(cluster_name="users.pay")
    made.cluster_stats.add(cluster_name="db").upstream_locality_stats.add(total_error_requests=1)
    assert list(counts(made, Reporter("rides"), mesh())) == [
        Count(Call("rides", None, "users", None), 21, 6),
        Count(Call("rides", None, "db", None), 1, 1),
    ]


def test_a_deployment_without_instances_at_a_port_falls_back_there():
    """And serves at others."""
    users = Service("users", ports={80: Port(endpoints=(HERE,)), 90: Port(endpoints=(HERE,))})
    parted = Mesh.of([users], [OffloadedDeployment("users", "pr-42", (HERE,), ports={80: (HERE,), 90: ()})])
    for cluster, deployment in (("users@pr-42,baseline", "pr-42"), ("users:90@pr-42,baseline", None)):
        (found,) = counts(report(**{cluster: (1, 0)}), Reporter("rides"), parted)
        assert found.call.deployment == deployment
    assert list(counts(report(**{"users:81": (1, 0)}), Reporter("rides"), parted)) == []


def mesh(naming: Naming | None = None) -> Mesh:
    """Return a mesh of users, with the deployment pr-42 and one without an instance, and of a database."""
    services = [Service("users", (HERE,)), Service("users.pay", (HERE,)), Service("db", (HERE,), Protocol.TCP)]
    deployments = [OffloadedDeployment("users", "pr-42", (HERE,)), OffloadedDeployment("users", "empty")]
    return Mesh.of(services, deployments, Settings(naming=naming or Naming()))


@pytest.mark.parametrize(
    ("cluster", "service", "deployment"),
    [
        ("users", "users", None),
        ("users:8080", "users", None),
        ("users:8080@pr-42", "users", "pr-42"),
        ("users@pr-42,baseline", "users", "pr-42"),
        ("users@empty,baseline", "users", None),
        ("users@never-was,baseline", "users", None),
        ("users@empty", "users", "empty"),
        ("connect@db:5432", "db", None),
    ],
)
def test_what_a_cluster_stands_for(cluster, service, deployment):
    """A service and whose instances serve there."""
    (found,) = counts(report(**{cluster: (5, 2)}), Reporter("rides", "pr-1"), mesh())
    assert found == Count(Call("rides", "pr-1", service, deployment), 7, 2)


@pytest.mark.parametrize(
    "cluster",
    ["api.example.test", "@application", "@control-plane", "connect@users:80", "", "users@a@b", "\0", "a" * 9999],
)
def test_what_is_no_call(cluster):
    """The outside, the sidecar's own clusters, tunnels whose content is counted, and invented names."""
    assert list(counts(report(**{cluster: (5, 2)}), Reporter("rides"), mesh())) == []


def test_namespaces():
    """A host name means what it means to the caller."""
    shop = mesh(Naming("shop"))
    for cluster, namespace, service in (
        ("users", "pay", "users.pay"),
        ("users.shop.svc.cluster.local:80", "pay", "users"),
        ("users", "", "users"),
    ):
        (found,) = counts(report(**{cluster: (1, 0)}), Reporter("rides", namespace=namespace), shop)
        assert found.call.service == service


def test_absurd_numbers():
    """End somewhere."""
    (found,) = counts(report(users=(2**64 - 1, 2**64 - 1)), Reporter("rides"), mesh())
    assert (found.requests, found.errors) == (10**9, 10**9)
    many = report(**{f"users:{number}": (1, 0) for number in range(4001)})
    assert len(list(counts(many, Reporter("rides"), mesh()))) == 4000


def test_what_stands_behind_something_that_is_no_call_counts():
    """A cluster without requests, and one outside the mesh, may be reported first."""
    made = LoadStatsRequest()
    made.cluster_stats.add(cluster_name="users.pay")
    for name in ("example.test", "users@a@b", "users", "db"):
        made.cluster_stats.add(cluster_name=name).upstream_locality_stats.add(total_successful_requests=1)
    found = [(one.call.service, one.requests, one.errors) for one in counts(made, Reporter("rides"), mesh())]
    assert found == [("users", 1, 0), ("db", 1, 0)]
