"""The rules of transparent mode, as text. What they do is tested in tests/envoy/test_transparent.py."""

import pytest

from detour.injection.redirection import JUMP, Redirection


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


def test_rules_of_the_other_version() -> None:
    """Its own networks, in their order; every port; the jump only where it is missing."""
    redirection = Redirection(
        to_port=1, exempt_uid=7, exclude_ports=(3306, 65535), exclude_cidrs=("fd00::1/8", "10.0.0.7", "::1")
    )
    chain = [
        "*nat",
        ":DETOUR - [0:0]",
        "-A DETOUR -o lo -j RETURN",
        "-A DETOUR -m owner --uid-owner 7 -j RETURN",
        "-A DETOUR -d fd00::/8 -j RETURN",
        "-A DETOUR -d ::1/128 -j RETURN",
        "-A DETOUR -p tcp --dport 3306 -j RETURN",
        "-A DETOUR -p tcp --dport 65535 -j RETURN",
        "-A DETOUR -p tcp -j REDIRECT --to-ports 1",
    ]
    jump = "-A OUTPUT -p tcp -j DETOUR"
    assert redirection.rules(6) == "\n".join([*chain, jump, "COMMIT", ""])
    assert redirection.rules(6, jump=False) == "\n".join([*chain, "COMMIT", ""])
    assert redirection.arguments() == [
        "--to-port=1",
        "--exempt-uid=7",
        "--exclude-port=3306",
        "--exclude-port=65535",
        "--exclude-cidr=fd00::1/8",
        "--exclude-cidr=10.0.0.7",
        "--exclude-cidr=::1",
    ]


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_what_is_no_port_is_named(port: int) -> None:
    """Wherever it stands; the first and the last port are ports."""
    assert Redirection(to_port=65535, exclude_ports=(1, 65535)) == Redirection(65535, 1337, (1, 65535), ())
    for given in ({"to_port": port}, {"exclude_ports": (80, port)}):
        with pytest.raises(ValueError) as raised:
            Redirection(**given)
        assert str(raised.value) == f"port {port} is not between 1 and 65535"


def test_where_the_jump_is() -> None:
    """As `iptables -t nat -C` takes it."""
    assert JUMP == ("OUTPUT", "-p", "tcp", "-j", "DETOUR")
