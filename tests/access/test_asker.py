"""Which requests come from the server's own machine, and from nobody else's page."""

from dataclasses import replace

import pytest

from detour.access import Asker

LOCAL = Asker("127.0.0.1", "127.0.0.1:15020")


@pytest.mark.parametrize(
    "asker",
    [
        LOCAL,
        Asker("::1", "[::1]:15020"),
        Asker("127.0.0.1", "localhost:15020"),
        Asker("127.0.0.1", "detour.localhost"),
        replace(LOCAL, origin="http://127.0.0.1:15020"),
    ],
)
def test_local(asker):
    """Programs of the machine, and the server's own page in a browser there."""
    assert asker.is_local


@pytest.mark.parametrize(
    "asker",
    [
        replace(LOCAL, peer="10.0.0.7"),
        replace(LOCAL, peer=""),
        replace(LOCAL, is_forwarded=True),
        # A name that somebody has made lead to 127.0.0.1.
        replace(LOCAL, host="rebound.example.com:15020"),
        replace(LOCAL, host="localhost.example.com"),
        replace(LOCAL, host="[not an address"),
        replace(LOCAL, host=""),
        replace(LOCAL, origin="http://evil.example.com"),
        replace(LOCAL, origin="http://127.0.0.1:9000"),
        replace(LOCAL, origin="null"),
    ],
)
def test_not_local(asker):
    """Whatever hints at a proxy, another name, or a page of another site."""
    assert not asker.is_local


@pytest.mark.parametrize(
    ("authorization", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic YTpi", ""), ("", ""), ("Bearer", "")],
)
def test_bearer_tokens(authorization, token):
    """The scheme's name is read in any case (RFC 9110, section 11.1)."""
    assert replace(LOCAL, authorization=authorization).bearer == token
