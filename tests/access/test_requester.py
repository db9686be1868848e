"""Which requests count as local: from this machine, and not from another site's page."""

from dataclasses import replace

import pytest

from detour.access import Requester

LOCAL = Requester("127.0.0.1", "127.0.0.1:15020")


@pytest.mark.parametrize(
    "requester",
    [
        LOCAL,
        Requester("::1", "[::1]:15020"),
        Requester("127.0.0.1", "localhost:15020"),
        Requester("127.0.0.1", "detour.localhost"),
        replace(LOCAL, origin="http://127.0.0.1:15020"),
    ],
)
def test_local(requester):
    """Programs on this machine, and the server's own page in a local browser."""
    assert requester.is_local is True


@pytest.mark.parametrize(
    "requester",
    [
        replace(LOCAL, peer="10.0.0.7"),
        replace(LOCAL, peer=""),
        replace(LOCAL, is_forwarded=True),
        # A foreign name that resolves to 127.0.0.1 (DNS rebinding).
        replace(LOCAL, host="rebound.example.com:15020"),
        replace(LOCAL, host="localhost.example.com"),
        replace(LOCAL, host="[not an address"),
        replace(LOCAL, host=""),
        replace(LOCAL, origin="http://evil.example.com"),
        replace(LOCAL, origin="http://127.0.0.1:9000"),
        replace(LOCAL, origin="null"),
    ],
)
def test_not_local(requester):
    """Requests through a proxy, to another host name, or from another site's page."""
    assert requester.is_local is False


def test_what_is_unknown_by_default():
    """By default, a request has no proxy, no page and no user, only an address."""
    assert Requester("::1") == Requester("::1", "", "", False, "", "")
    assert Requester("::1").is_forwarded is False


@pytest.mark.parametrize(
    ("host", "origin", "is_same_site"),
    [
        ("detour.test", "", True),
        ("detour.test", "https://detour.test", True),
        ("Detour.Test:8443", "https://detour.TEST:8443", True),
        ("detour.test", "https://detour.test:8443", False),
        ("detour.test", "https://other.test", False),
        ("detour.test", "null", False),
    ],
)
def test_requests_of_the_servers_own_pages(host, origin, is_same_site):
    """Wherever the browser is; host names are compared in any case, with the port."""
    assert Requester("10.0.0.7", host, origin).is_same_site is is_same_site


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic YTpi", ""),
        ("", ""),
        ("Bearer", ""),
        ("BEARER a b", "a b"),
    ],
)
def test_bearer_tokens(authorization, token):
    """The scheme's name is read in any case (RFC 9110, section 11.1)."""
    assert replace(LOCAL, authorization=authorization).bearer == token
