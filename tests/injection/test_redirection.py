"""The rules of transparent mode, as text. What they do is tested in tests/envoy/test_transparent.py."""

import pytest

from detour.injection.redirection import Redirection


def test_rules_are_as_written_down() -> None:
    """The sidecar's own connections, loopback and what is excluded come before the redirection."""
    redirection = Redirection(exclude_ports=(3306,), exclude_cidrs=("10.8.0.1/16", "fd00::/8"))
    assert redirection.rules(4).splitlines() == [
        "*nat",
        ":DETOUR - [0:0]",
        "-A DETOUR -o lo -j RETURN",
        "-A DETOUR -m owner --uid-owner 1337 -j RETURN",
        "-A DETOUR -d 10.8.0.0/16 -j RETURN",
        "-A DETOUR -p tcp --dport 3306 -j RETURN",
        "-A DETOUR -p tcp -j REDIRECT --to-ports 15001",
        "-A OUTPUT -p tcp -j DETOUR",
        "COMMIT",
    ]
    assert "-d fd00::/8 -j RETURN" in redirection.rules(6)
    assert "10.8" not in redirection.rules(6)


@pytest.mark.parametrize("bad", [{"to_port": 0}, {"exclude_ports": (65536,)}, {"exclude_cidrs": ("10.0.0.0/33",)}])
def test_what_is_no_port_or_network_is_refused(bad: dict) -> None:
    """Before it reaches a command line as root."""
    with pytest.raises(ValueError):
        Redirection(**bad)
