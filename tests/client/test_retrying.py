"""Which requests are retried, and when."""

import json

import pytest

from client.scripted_server import answering
from detour.client import (
    AsyncClient,
    CheckIn,
    Client,
    DeploymentIn,
    TooManyRequestsError,
    UnavailableError,
    UnreachableError,
)
from detour.client.retrying import Retries

FAST = Retries(most=2, first_seconds=0)
CLOSED = (0, {}, b"")
GOOD = (200, {"content-type": "application/json"}, b'{"status": "ok"}')
PAGE = (200, {"content-type": "application/json"}, b'{"mistakes": []}')


def problem(status: int, **headers: str):
    """Return a response with a problem document."""
    body = {"type": "about:blank", "title": "x", "status": status, "detail": f"detail of {status}"}
    return (status, {"content-type": "application/problem+json", **headers}, json.dumps(body).encode())


@pytest.mark.parametrize("failure", [CLOSED, problem(502), problem(503), problem(504), problem(429)])
async def test_safe_requests_are_retried(failure):
    """After a broken connection, and after a transient status."""
    with answering([failure, failure, GOOD]) as (url, requests), Client(url, retries=FAST) as client:
        assert client.get_health().status == "ok"
        assert requests == ["GET /healthz"] * 3
    with answering([failure, failure, GOOD]) as (url, requests):
        async with AsyncClient(url, retries=FAST) as other:
            assert (await other.get_health()).status == "ok"
        assert requests == ["GET /healthz"] * 3


def test_the_number_of_retries_is_bounded():
    """The last failure is raised."""
    with answering([problem(503)]) as (url, requests), Client(url, retries=FAST) as client:
        with pytest.raises(UnavailableError, match="detail of 503"):
            client.get_health()
        assert len(requests) == 3
    with answering([CLOSED]) as (url, requests), Client(url, retries=FAST) as client:
        with pytest.raises(UnreachableError):
            list(client.list_services())
        assert len(requests) == 3


@pytest.mark.parametrize("failure", [CLOSED, problem(503), problem(429)])
def test_unsafe_requests_are_not_retried(failure):
    """They may have taken effect although the response was lost."""
    with answering([failure, GOOD]) as (url, requests), Client(url, retries=FAST) as client:
        with pytest.raises((UnreachableError, UnavailableError, TooManyRequestsError)):
            client.register_deployment(DeploymentIn(service="users", name="a", endpoints=[]))
        assert requests == ["POST /v1/deployments"]


def test_checks_are_safe_although_they_are_posts():
    """They change nothing."""
    with answering([CLOSED, PAGE]) as (url, requests), Client(url, retries=FAST) as client:
        assert client.check_overrides(CheckIn(overrides={"route.users": "a"})).mistakes == []
        assert requests == ["POST /v1/overrides/check"] * 2


def test_refused_requests_are_not_retried():
    """The server would refuse them again."""
    for status in (400, 401, 403, 404, 409, 410, 422, 500, 501):
        with answering([problem(status)]) as (url, requests), Client(url, retries=FAST) as client:
            with pytest.raises(RuntimeError, match=f"detail of {status}") as refused:
                client.get_status()
            assert (refused.value.status, len(requests)) == (status, 1)


def test_pauses():
    """Grow, follow `Retry-After`, and are bounded."""
    retries = Retries(most=20, first_seconds=0.1)
    assert [retries.pause(sent) for sent in (1, 2, 3, 9)] == [0.1, 0.2, 0.4, 5.0]
    with answering([problem(503, **{"retry-after": "0"}), GOOD]) as (url, requests):
        with Client(url, retries=Retries(most=1, first_seconds=1000)) as client:
            assert client.get_health().status == "ok"
        assert len(requests) == 2
