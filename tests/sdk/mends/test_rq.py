"""RQ: what a job is made with, and what runs under it."""

from collections.abc import Iterator

import pytest
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from redis import Redis
from rq.job import Job

from detour.sdk import current, using
from detour.sdk.mends.rq import _create, _perform_job
from detour.sdk.propagator import OverridesPropagator


@pytest.fixture(autouse=True)
def propagators() -> Iterator[None]:
    """Set up the propagator for a test."""
    others = get_global_textmap()
    set_global_textmap(OverridesPropagator(others))
    yield
    set_global_textmap(others)


def made(meta: dict | None = None) -> Job:
    """Return a job that is made here and now; it is not enqueued."""
    return _create(Job.create, None, (print,), {"connection": Redis(), "meta": meta})


def route_of(job: Job) -> str | None:
    """Return what is current while a job runs."""
    return _perform_job(lambda _: current().route("users"), None, (job,), {})


def test_a_job_runs_under_the_overrides_of_the_request_that_made_it() -> None:
    """And nothing is left of them behind it."""
    with using("users=pr-1"):
        job = made()
    assert route_of(job) == "pr-1"
    assert not current()


def test_what_a_service_gives_with_each_job_stays_its_own() -> None:
    """One object for all jobs carries nothing from one request to the next."""
    meta = {"own": 1}
    with using("users=pr-1"):
        first = made(meta)
    with using("users=pr-2"):
        second = made(meta)
    assert meta == {"own": 1}
    assert [route_of(job) for job in (first, second, made(meta))] == ["pr-1", "pr-2", None]


def test_a_job_that_is_given_another_ones_meta_has_overrides_of_its_own() -> None:
    """Those of the request that makes it, or none."""
    with using("users=pr-1"):
        other = made({"own": 1})
    assert route_of(made(other.meta)) is None
    with using("users=pr-2"):
        assert route_of(made(other.meta)) == "pr-2"
    assert route_of(other) == "pr-1"


def test_without_overrides_a_job_is_what_it_was() -> None:
    """Its meta is the service's own object."""
    meta = {"own": 1}
    assert made(meta).meta is meta


@pytest.mark.parametrize(
    "carried", ["x", 5, ["x"], {"baggage": 5}, {5: "x"}, {"baggage": "override.route.users=%%"}]
)
def test_what_cannot_be_read_is_no_override(carried: object) -> None:
    """And raises nothing."""
    job = made()
    job.meta = {"detour": carried}
    assert route_of(job) is None
