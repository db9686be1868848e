"""The values of a mesh: which names and addresses there are, and how they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.mesh import (
    Carrier,
    Endpoint,
    Mesh,
    Naming,
    OffloadedDeployment,
    Port,
    Protocol,
    RetryPolicy,
    Scenarios,
    Service,
    Settings,
    TrustedProxies,
    is_name,
)

REMEDY = (
    "If it speaks HTTP or gRPC in plain text, declare that (in the mesh file protocol: http1 or http2; on"
    " Kubernetes appProtocol: http or grpc, or a port name that begins with http or grpc)"
)


@pytest.mark.parametrize("name", ["users", "pr-42", "a", "0", "Pr_42.b", "x" * 63])
def test_names_are_letters_digits_and_a_few_signs(name):
    """Names may use what passes unchanged through baggage, host names and cluster names."""
    assert is_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "_a", "a b", "a@b", "a:b", "a,b", "a%20", "é", "٣", "a\n", "x" * 64]
)
def test_other_names_are_none(name):
    """Empty, too long, other characters, or a sign in front: no name."""
    assert not is_name(name)


@given(st.text())
def test_names_survive_every_carrier(text):
    """Whatever passes for a name is ASCII without any separator of headers, hosts or cluster names."""
    if is_name(text):
        assert text.isascii()
        assert not set(text) & set("@:,;=%/ \t\r\n")


@given(st.ip_addresses(), st.integers(min_value=1, max_value=65535))
def test_an_endpoint_reads_what_it_writes(address, port):
    """IPv4 and IPv6 endpoints survive being written and read."""
    endpoint = Endpoint(str(address), port)
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:8080", Endpoint("127.0.0.1", 8080)),
        ("localhost:9001", Endpoint("127.0.0.1", 9001)),
        ("[::1]:80", Endpoint("::1", 80)),
        ("[0:0:0:0:0:0:0:1]:80", Endpoint("::1", 80)),
        ("[FE80::A]:80", Endpoint("fe80::a", 80)),
    ],
)
def test_endpoints_are_read_in_one_spelling(text, endpoint):
    """One address has one value, however it was written."""
    assert Endpoint.parse(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        "users:80",
        "127.0.0.1",
        "127.0.0.1:",
        ":80",
        "::1:80",
        "[127.0.0.1]:80",
        "[fe80::1%eth0]:80",
        "256.0.0.1:80",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:٣",
        " 127.0.0.1:80",
        "127.0.0.1:80\n",
        "http://127.0.0.1:80",
    ],
)
def test_other_endpoints_are_refused_in_the_same_words(text):
    """Whatever is wrong, the message says what an endpoint looks like."""
    with pytest.raises(ValueError, match=r"^expected ip:port such as 127\.0\.0\.1:8080$"):
        Endpoint.parse(text)


@pytest.mark.parametrize("port", [1, 65535])
def test_the_first_and_the_last_port_are_ports(port):
    """All in between, too."""
    assert Endpoint.parse(f"[::1]:{port}") == Endpoint("::1", port)


@pytest.mark.parametrize(("address", "port"), [("users", 80), ("127.0.0.1", 0), ("127.0.0.1", 65536)])
def test_an_endpoint_that_cannot_be_is_never_made(address, port):
    """A value that exists is valid, whoever made it."""
    with pytest.raises(ValueError, match=f"^port {port} is not between 1 and 65535$|'users' does not appear to be"):
        Endpoint(address, port)


def test_of_two_values_with_one_name_the_later_wins():
    """A mesh has one service and one deployment of a name."""
    mesh = Mesh.of(
        [Service("users"), Service("users", (Endpoint("::1", 80),))],
        [OffloadedDeployment("users", "pr-1"), OffloadedDeployment("users", "pr-1", owner="ana")],
    )
    assert mesh.services["users"].endpoints == (Endpoint("::1", 80),)
    assert mesh.deployment("users", "pr-1") == OffloadedDeployment("users", "pr-1", owner="ana")
    assert mesh.deployment("users", "pr-2") is None


def test_what_is_left_out_has_a_default():
    """Which mesh files and sources rely on."""
    assert RetryPolicy(3).on == ("connect-failure", "refused-stream", "unavailable")
    assert Port() == Port(Protocol.AUTO, ())
    assert Service("users") == Service("users", (), Protocol.AUTO, None, None, {})
    assert OffloadedDeployment("users", "pr-1") == OffloadedDeployment("users", "pr-1", (), "", None, {})
    assert Settings() == Settings(
        (Carrier.BAGGAGE,), {}, {}, "", False, Naming("", "cluster.local"), "detour", "", "", TrustedProxies((), 0)
    )
    assert Settings().edge_badge is False
    assert (Mesh().scenarios, Mesh().keys, Mesh().settings) == (None, None, Settings())
    assert Mesh.of() == Mesh({}, {}, Settings())
    assert Mesh.of(settings=Settings(edge_parameter="x")).settings.edge_parameter == "x"
    assert (Scenarios().live, Scenarios().ended) == ({}, {})


def test_values_that_a_mesh_file_or_a_header_has():
    """Written out by hand: a changed value is a changed promise."""
    assert list(Protocol) == ["auto", "http1", "http2", "tcp"]
    assert list(Carrier) == ["baggage", "x-ot-span-context"]


def test_a_deployment_is_called_by_service_and_name():
    """People and logs see `users@pr-42`."""
    assert str(OffloadedDeployment("users", "pr-42")) == "users@pr-42"
    assert OffloadedDeployment("users", "pr-42").key == ("users", "pr-42")


def test_a_service_that_tells_its_ports_apart_has_no_others() -> None:
    """Who names no port means 80, or else the first."""
    web, grpc = Port(endpoints=(Endpoint("::1", 8080),)), Port(Protocol.HTTP2, (Endpoint("::1", 9090),))
    users = Service("users", ports={9090: grpc, 80: web})
    assert [users.at(asked) for asked in (80, 9090, None, 81)] == [web, grpc, web, None]
    assert users.port_number(None) == 80
    assert Service("users", ports={9090: grpc}).at(None) == grpc
    assert Service("users", ports={9090: grpc}).port_number(None) == 9090
    assert Service("users", ports={9090: grpc, 81: web}).port_number(None) == 9090
    assert users.port_number(9090) == 9090
    assert users.port_number(81) == 81


def test_other_services_are_the_same_at_every_port() -> None:
    """As the mesh file has them."""
    users = Service("users", (Endpoint("::1", 8080),), Protocol.HTTP2)
    assert users.at(None) == users.at(9090) == Port(Protocol.HTTP2, users.endpoints)
    assert users.port_number(9090) is users.port_number(None) is None


def test_a_deployment_may_tell_its_ports_apart_too() -> None:
    """One that does not serves them all alike."""
    anywhere, there = (Endpoint("::1", 1),), (Endpoint("::1", 2),)
    assert OffloadedDeployment("users", "pr-42", anywhere).at(80) == anywhere
    parted = OffloadedDeployment("users", "pr-42", there, ports={80: there})
    assert [parted.at(number) for number in (80, 81, None)] == [there, (), there]


def test_links_into_a_scenario() -> None:
    """Preview hosts first, with the edge's scheme and port; none where nobody said where the edge is."""
    previews = {"preview.example.test": "web", "b.example.test": "web"}
    settings = Settings(edge_previews=previews, edge_url="https://staging.example.test:8443")
    assert settings.links("checkout") == (
        "https://checkout.b.example.test:8443/",
        "https://checkout.preview.example.test:8443/",
        "https://staging.example.test:8443/?detour=checkout",
    )
    assert Settings(edge_url="http://a.test").links("x") == ("http://a.test/?detour=x",)
    assert Settings(edge_previews=previews).links("checkout") == ()
    renamed = Settings(edge_previews={"p.test": "web"}, edge_url="https://a.test", edge_parameter="in")
    assert renamed.links("x") == ("https://x.p.test/", "https://a.test/?in=x")


def test_a_link_holds_on_one_host_where_the_cookie_does() -> None:
    """Unless the edge serves no other, or no link can be made."""
    url, hosts = "https://a.test:8443", {"a.test": "web", "b.test": "web"}
    assert Settings(edge_url=url, edge_hosts=hosts).only_host_of_links == "a.test"
    assert Settings(edge_url="http://[::1]:80", edge_hosts={"*": "web"}).only_host_of_links == "::1"
    assert Settings(edge_url=url, edge_hosts=hosts, edge_cookie_domain="test").only_host_of_links == ""
    assert Settings(edge_url=url, edge_hosts={"a.test": "web"}).only_host_of_links == ""
    assert Settings(edge_hosts=hosts).only_host_of_links == ""


@pytest.mark.parametrize(
    ("service", "where"),
    [
        (Service("db", protocol=Protocol.TCP), ""),
        (Service("one", ports={5432: Port(Protocol.TCP)}), " at port 5432"),
        (Service("none", ports={80: Port(Protocol.TCP), 81: Port(Protocol.TCP)}), " at ports 80, 81"),
    ],
)
def test_no_override_affects_a_service_whose_ports_are_all_tcp(service: Service, where: str) -> None:
    """The explanation says what to do."""
    assert (service.is_unread, service.unread_ports, service.why_partly_unread) == (True, (), "")
    assert service.override_warning == service.why_unread
    assert service.why_unread == (
        f"{service.name} has protocol tcp{where}: sidecars pass its connections through unread, so no override can"
        f" choose a deployment of it, delay it or abort it. {REMEDY}. For another database, use override.db of the"
        " service that connects to it"
    )


@pytest.mark.parametrize(
    ("ports", "unread", "where"),
    [
        ((80,), (), ""),
        ((80, 81), (), ""),
        ((80, 5432), (5432,), "port 5432"),
        ((80, 5432, 5433), (5432, 5433), "ports 5432, 5433"),
    ],
)
def test_overrides_affect_the_other_ports_of_a_service(
    ports: tuple[int, ...], unread: tuple[int, ...], where: str
) -> None:
    """Those that are not tcp, whatever they are."""
    kinds = {80: Protocol.AUTO, 81: Protocol.HTTP2}
    service = Service("users", ports={one: Port(kinds.get(one, Protocol.TCP)) for one in ports})
    assert (service.is_unread, service.unread_ports) == (False, unread)
    expected = (
        f"users has protocol tcp at {where}: sidecars pass connections to it through unread, so overrides have no"
        f" effect there; they apply to its other ports. {REMEDY}"
    )
    assert service.why_partly_unread == (expected if unread else "")
    assert service.override_warning == service.why_partly_unread
    assert (Service("users").is_unread, Service("users").unread_ports) == (False, ())
