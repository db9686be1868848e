"""Where registered endpoints may be, in whatever notation they are written."""

from ipaddress import ip_network

import pytest

from detour.mesh import LOOPBACK, PRIVATE, Endpoint, EndpointRules, ForbiddenEndpointError, networks_of

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
    assert "none of the networks" in TEAM.refusal(Endpoint(address, 8080))


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
    """Unless whoever runs the server allows them."""
    why = LOCAL.refusal(Endpoint(address, 8080))
    assert "none of the networks" in why
    assert "10.0.0.0/8" in why
    assert "--endpoint-networks" in why
    if not address.startswith("::10"):
        assert ANYWHERE.refusal(Endpoint(address, 8080)) == ""


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("0.0.0.0", "no particular machine"),
        ("0.1.2.3", "no particular machine"),
        ("::", "no particular machine"),
        ("169.254.169.254", "link-local"),
        ("169.254.170.2", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::a9fe:a9fe", "link-local"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("::ffff:169.254.169.254", "leads to 169.254.169.254"),
        ("::ffff:a9fe:a9fe", "leads to 169.254.169.254"),
        ("::169.254.169.254", "leads to 169.254.169.254"),
        ("::ffff:0:169.254.169.254", "leads to 169.254.169.254"),
        ("64:ff9b::169.254.169.254", "leads to 169.254.169.254"),
        ("64:ff9b::a9fe:a9fe", "leads to 169.254.169.254"),
        ("64:ff9b:1:a9fe:00a9:fe00::", "leads to 169.254.169.254"),
        ("2002:a9fe:a9fe::1", "leads to 169.254.169.254"),
        ("2001:0:a9fe:a9fe::1", "leads to 169.254.169.254"),
        ("2001:0:1234:5678::5601:5601", "leads to 169.254.169.254"),
        ("fd00::5efe:169.254.169.254", "leads to 169.254.169.254"),
        ("::ffff:0.0.0.0", "no particular machine"),
    ],
)
def test_what_is_refused_in_any_case(address: str, words: str) -> None:
    """Whatever networks are allowed."""
    for rules in (LOCAL, ANYWHERE):
        assert words in rules.refusal(Endpoint(address, 8080))


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


@pytest.mark.parametrize("port", [15000, 15001, 15003, 15010, 15020, 15021])
def test_ports_of_detour_and_its_envoys_are_refused(port: int) -> None:
    """The usual ones at any address; 15006 is where a sidecar takes requests for its application."""
    for address in ("127.0.0.1", "10.0.0.1"):
        assert f"port {port} is" in LOCAL.refusal(Endpoint(address, port))
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
        ("127.0.0.1", "10.0.0.1", False),
    ],
)
def test_other_ports_are_refused_where_something_listens(own: str, address: str, is_refused: bool) -> None:
    """Those of a server, and of Envoys that are connected."""
    rules = EndpointRules(ports={Endpoint(own, 4321): "Detour's API"})
    assert bool(rules.refusal(Endpoint(address, 4321))) is is_refused
    assert rules.refusal(Endpoint(address, 4322)) == ""


def test_the_message_says_which_endpoint_it_is() -> None:
    """Of several."""
    with pytest.raises(ForbiddenEndpointError, match=r"endpoints\[1\]: 0.0.0.0:80 is refused: 0.0.0.0/8 stands"):
        LOCAL.expect([Endpoint("10.0.0.1", 80), Endpoint("0.0.0.0", 80)])


def test_networks() -> None:
    """As on a command line."""
    assert networks_of("127.0.0.0/8, ::1/128") == LOOPBACK
    assert networks_of("10.1.2.3") == (ip_network("10.1.2.3/32"),)
    with pytest.raises(ValueError, match=r"'10.0.0.1/8' is no network such as 10.0.0.0/8"):
        networks_of("10.0.0.1/8")


def test_an_address_with_a_zone_is_refused() -> None:
    """A zone means something on one machine only."""
    assert "has a zone" in LOCAL.refusal(Endpoint("fd00::1%eth0", 80))


def test_endpoints_that_are_allowed_pass() -> None:
    """Several at once."""
    LOCAL.expect([Endpoint("10.0.0.1", 80), Endpoint("127.0.0.1", 80)])
