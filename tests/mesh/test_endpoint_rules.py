"""Where registered endpoints may be, in whatever notation they are written."""

from ipaddress import ip_network

import pytest

from detour.mesh import LOOPBACK, PRIVATE, Endpoint, EndpointRules, ForbiddenEndpointError, networks_of
from detour.mesh.endpoint_rules import never

LOCAL = EndpointRules()
TEAM = EndpointRules(PRIVATE)
ANYWHERE = EndpointRules(networks_of("0.0.0.0/0, ::/0"))


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.1.1",
        "fd12:3456::1",
        "::ffff:10.1.2.3",
        "::ffff:c0a8:101",
    ],
)
def test_private_networks_are_allowed(address: str) -> None:
    """IPv4, IPv6, and IPv4 written as IPv6."""
    for rules in (LOCAL, TEAM, ANYWHERE):
        assert rules.refusal(Endpoint(address, 8080)) == ""


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_allowed_on_one_machine(address: str) -> None:
    """Elsewhere it is each Envoy's own machine."""
    assert LOCAL.refusal(Endpoint(address, 8080)) == ""
    assert "outside the networks" in TEAM.refusal(Endpoint(address, 8080))


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "172.32.0.1",
        "100.64.0.1",
        "192.0.2.1",
        "2001:db8::1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "::10.0.0.1",
    ],
)
def test_other_networks_are_refused(address: str) -> None:
    """Unless an operator of the server allows them."""
    assert LOCAL.refusal(Endpoint(address, 8080)) == (
        "it is outside the networks that endpoints may be in (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16,"
        " fc00::/7, 127.0.0.0/8, ::1/128); an operator of the server can allow more: detour serve"
        " --endpoint-networks"
    )
    assert " may be in (none); " in EndpointRules(()).refusal(Endpoint(address, 8080))
    if not address.startswith("::10"):
        assert ANYWHERE.refusal(Endpoint(address, 8080)) == ""


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("0.0.0.0", "0.0.0.0/8 does not identify a machine"),
        ("0.255.255.255", "0.0.0.0/8 does not identify a machine"),
        ("::", ":: does not identify a machine"),
        ("169.254.0.0", "169.254.0.0/16 is link-local; clouds serve credentials there"),
        ("169.254.170.2", "169.254.0.0/16 is link-local; clouds serve credentials there"),
        ("169.254.255.255", "169.254.0.0/16 is link-local; clouds serve credentials there"),
        ("fe80::1", "fe80::/10 is link-local; clouds serve credentials there"),
        ("fe80::a9fe:a9fe", "fe80::/10 is link-local; clouds serve credentials there"),
        ("febf::1", "fe80::/10 is link-local; clouds serve credentials there"),
        ("224.0.0.1", "224.0.0.0/4 is multicast"),
        ("239.255.255.255", "224.0.0.0/4 is multicast"),
        ("ff02::1", "ff00::/8 is multicast"),
        ("240.0.0.1", "240.0.0.0/4 is reserved, or broadcast"),
        ("255.255.255.255", "240.0.0.0/4 is reserved, or broadcast"),
        ("100.100.100.200", "100.100.100.200 is an address where a cloud serves metadata and credentials"),
        ("168.63.129.16", "168.63.129.16 is an address where a cloud serves metadata and credentials"),
        ("192.0.0.192", "192.0.0.192 is an address where a cloud serves metadata and credentials"),
        ("fd00:ec2::254", "fd00:ec2::/32 is an address where a cloud serves metadata and credentials"),
        ("fd20:ce::254", "fd20:ce::254 is an address where a cloud serves metadata and credentials"),
        ("fd00:42::42", "fd00:42::42 is an address where a cloud serves metadata and credentials"),
        ("fd00::1%eth0", "fd00::1%eth0 has a zone, which is valid on one machine only"),
    ],
)
def test_what_is_refused_in_any_case(address: str, why: str) -> None:
    """Whatever networks are allowed."""
    for rules in (LOCAL, ANYWHERE):
        assert rules.refusal(Endpoint(address, 8080)) == why


@pytest.mark.parametrize(
    "address",
    ["1.0.0.0", "169.253.255.255", "169.255.0.0", "fec0::1", "223.255.255.255", "fd00:ec3::", "fe7f::"],
)
def test_what_is_beside_that_may_be_allowed(address: str) -> None:
    """The networks end there."""
    assert ANYWHERE.refusal(Endpoint(address, 8080)) == ""


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1:a9fe:00a9:fe00::",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:1234:5678::5601:5601",
        "fd00::5efe:169.254.169.254",
        "fd00::200:5efe:169.254.169.254",
    ],
)
def test_what_leads_there_is_refused_too(address: str) -> None:
    """In whatever notation, by whatever translates addresses on the way."""
    for rules in (LOCAL, ANYWHERE):
        assert rules.refusal(Endpoint(address, 8080)).endswith(
            " leads to 169.254.169.254, and 169.254.0.0/16 is link-local; clouds serve credentials there"
        )


def test_an_address_that_stands_for_another_is_named_as_it_is_written() -> None:
    """With what it leads to; the first of two that are refused is told."""
    assert never("::ffff:0.0.0.0") == ("::ffff:0.0.0.0 leads to 0.0.0.0, and 0.0.0.0/8 does not identify a machine")
    assert never("fd00::5efe:100.100.100.200") == (
        "fd00::5efe:100.100.100.200 leads to 100.100.100.200, and 100.100.100.200 is an address where a cloud"
        " serves metadata and credentials"
    )
    # Teredo: the server's address, then the client's with all bits turned round.
    assert never("2001:0:6464:64c8::f5ff:fffe").startswith(
        "2001:0:6464:64c8::f5ff:fffe leads to 100.100.100.200, and"
    )
    assert never("2001:0:a00:1::f5ff:fffe") == ""
    assert never("::2") == "::2 leads to 0.0.0.2, and 0.0.0.0/8 does not identify a machine"
    assert never("::1") == ""


@pytest.mark.parametrize(
    "text",
    [
        "2852039166:80", "0xa9fea9fe:80", "0251.0376.0251.0376:80", "169.254.43518:80", "0xa9.0xfe.0xa9.0xfe:80",
        "[fe80::1%eth0]:80", "[fe80::1%25eth0]:80", "metadata.google.internal:80", "127.1:80",
        "169.254.169.254.:80", "١٦٩.254.169.254:80",
    ],
)  # fmt: skip
def test_other_notations_are_no_endpoints(text: str) -> None:
    """What libraries read differently is not read at all."""
    with pytest.raises(ValueError, match="expected ip:port such as"):
        Endpoint.parse(text)


@pytest.mark.parametrize(
    ("port", "what"),
    [
        (15000, "the admin interface of an Envoy"),
        (15001, "the outbound listener of a sidecar"),
        (15003, "the readiness port of an Envoy"),
        (15010, "the port where Detour's server serves Envoys"),
        (15020, "Detour's API"),
        (15021, "Detour's webhook"),
    ],
)
def test_ports_of_detour_and_its_envoys_are_refused(port: int, what: str) -> None:
    """The usual ones at any address; 15006 is where a sidecar takes requests for its application."""
    for address in ("127.0.0.1", "10.0.0.1"):
        assert LOCAL.refusal(Endpoint(address, port)) == f"port {port} is {what}"
    assert LOCAL.refusal(Endpoint("127.0.0.1", 15006)) == ""


@pytest.mark.parametrize(
    ("own", "address", "is_refused"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", True),
        ("127.0.0.1", "::1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("0.0.0.0", "10.0.0.2", False),
        ("::", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.1", False),
        ("10.0.0.1", "127.0.0.1", False),
    ],
)
def test_other_ports_are_refused_where_something_listens(own: str, address: str, is_refused: bool) -> None:
    """Those of a server, and of Envoys that are connected."""
    rules = EndpointRules(ports={Endpoint("10.7.7.7", 1): "another", Endpoint(own, 4321): "Detour's API"})
    assert rules.refusal(Endpoint(address, 4321)) == ("that is Detour's API" if is_refused else "")
    assert rules.refusal(Endpoint(address, 4322)) == ""


def test_the_message_says_which_endpoint_it_is() -> None:
    """Of several."""
    with pytest.raises(ForbiddenEndpointError) as raised:
        LOCAL.expect([Endpoint("10.0.0.1", 80), Endpoint("0.0.0.0", 80), Endpoint("8.8.8.8", 80)])
    assert str(raised.value) == "endpoints[1]: 0.0.0.0:80 is refused: 0.0.0.0/8 does not identify a machine"


def test_networks() -> None:
    """As on a command line."""
    assert networks_of("127.0.0.0/8, ::1/128") == LOOPBACK
    assert networks_of("10.1.2.3") == (ip_network("10.1.2.3/32"),)
    assert networks_of(" ,10.0.0.0/8,") == (ip_network("10.0.0.0/8"),)
    assert networks_of("") == ()
    with pytest.raises(
        ValueError, match=r"^'10.0.0.1/8' is not a network such as 10.0.0.0/8: 10.0.0.1/8 has host bits set$"
    ):
        networks_of("10.0.0.0/8,10.0.0.1/8")


def test_endpoints_that_are_allowed_pass() -> None:
    """Several at once."""
    LOCAL.expect([Endpoint("10.0.0.1", 80), Endpoint("127.0.0.1", 80)])
