"""Which sidecars went on without a control plane, as they report it later."""

from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest

from detour.traffic.openings import Opening, Openings
from detour.traffic.reporter import Reporter

RIDES, USERS = Reporter("rides", instance="rides-1"), Reporter("users", instance="users-1")


def report(*requests: int, seconds: float = 10.5, cluster: str = "@no-answer") -> LoadStatsRequest:
    """Return a report with that number of requests in each locality, after another cluster's."""
    made = LoadStatsRequest()
    made.cluster_stats.add(cluster_name="users").upstream_locality_stats.add(total_issued_requests=7)
    stats = made.cluster_stats.add(cluster_name=cluster)
    stats.load_report_interval.seconds = int(seconds)
    stats.load_report_interval.nanos = int(seconds % 1 * 1_000_000_000)
    for number in requests:
        stats.upstream_locality_stats.add(total_issued_requests=number)
    return made


def test_requests_without_an_answer() -> None:
    """Who sent them, how many, and in which time."""
    seen = Openings()
    assert seen.add(report(2, 3), USERS, 1000.0)
    assert seen.add(report(1), RIDES, 1001.0)
    assert seen.recent(1001.0) == [
        Opening("rides", "rides-1", 990.5, 1001.0, 1),
        Opening("users", "users-1", 989.5, 1000.0, 5),
    ]


def test_other_reports_are_none() -> None:
    """Of calls, and of no requests at all."""
    seen = Openings()
    for other in (LoadStatsRequest(), report(5, cluster="users"), report(), report(0)):
        assert not seen.add(other, RIDES, 1000.0)
    assert seen.recent(1000.0) == []


def test_reports_without_a_gap_are_one() -> None:
    """Up to a second between them; after a longer one it is another time."""
    seen = Openings()
    seen.add(report(1), RIDES, 1000.0)
    seen.add(report(2), RIDES, 1011.5)
    assert seen.recent(1011.5) == [Opening("rides", "rides-1", 989.5, 1011.5, 3)]
    seen.add(report(4), RIDES, 1023.25)
    assert seen.recent(1023.25) == [Opening("rides", "rides-1", 1012.75, 1023.25, 4)]


def test_they_are_known_for_an_hour() -> None:
    """From when they were reported."""
    seen = Openings()
    seen.add(report(1), RIDES, 1000.0)
    assert len(seen.recent(4599.5)) == 1
    assert seen.recent(4600.0) == []


def test_only_so_many_are_kept() -> None:
    """The one that was silent longest goes first."""
    seen = Openings()
    for number in range(500):
        seen.add(report(1), Reporter("rides", instance=f"{number:03}"), 1000.0)
    seen.add(report(1), Reporter("rides", instance="000"), 1001.0)
    seen.add(report(1), Reporter("rides", instance="500"), 1002.0)
    names = [one.instance for one in seen.recent(1002.0)]
    assert (len(names), names[0], names[1], names[-1]) == (500, "000", "002", "500")
