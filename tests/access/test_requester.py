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
    assert requester.is_local


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
    assert not requester.is_local


@pytest.mark.parametrize(
    ("authorization", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic YTpi", ""), ("", ""), ("Bearer", "")],
)
def test_bearer_tokens(authorization, token):
    """The scheme's name is read in any case (RFC 9110, section 11.1)."""
    assert replace(LOCAL, authorization=authorization).bearer == token
