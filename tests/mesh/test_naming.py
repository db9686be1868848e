"""Which service a host name means."""

import pytest

from detour.mesh import Naming

NAMING = Naming(home="shop")


@pytest.mark.parametrize(
    ("host", "caller", "service"),
    [
        ("users", "shop", "users"),
        ("users", "", "users"),
        ("users", "pay", "users.pay"),
        ("users.shop", "pay", "users"),
        ("users.pay", "shop", "users.pay"),
        ("users.shop.svc", "pay", "users"),
        ("users.shop.svc.cluster.local", "pay", "users"),
        ("users.pay.svc.cluster.local.", "shop", "users.pay"),
        ("users.", "pay", "users.pay"),
        ("users.svc", "pay", "users.pay"),
        ("users-0.users.shop.svc.cluster.local", "shop", "users-0.users.shop.svc.cluster.local"),
        ("www.example.test", "shop", "www.example.test"),
        ("127.0.0.1", "shop", "127.0.0.1"),
        ("users.pay.svc.cluster.test", "shop", "users.pay.svc.cluster.test"),
        ("users.pay.svc.svc", "shop", "users.pay.svc.svc"),
        ("users.pay.", "shop", "users.pay"),
        ("", "shop", ""),
    ],
)
def test_a_service_goes_by_one_name_however_it_is_called(host: str, caller: str, service: str) -> None:
    """A bare name is the caller's own; what can be no service stays as it is."""
    assert NAMING.canonical(host, caller) == service


def test_where_there_are_no_namespaces_names_are_names() -> None:
    """As in a mesh file."""
    for host in ("users", "users.shop", "users.shop.svc.cluster.local"):
        assert Naming().canonical(host, "shop") == host
    assert Naming().name("users", "") == "users"
    assert (Naming().home, Naming().domain) == ("", "cluster.local")
    assert Naming().place("users") == ("users", "")
    assert Naming("shop", "cluster.test").canonical("users.pay.svc.cluster.test") == "users.pay"


def test_services_of_the_home_namespace_have_bare_names() -> None:
    """Others say where they are."""
    assert NAMING.name("users", "shop") == "users"
    assert NAMING.name("users", "pay") == "users.pay"
    assert NAMING.name("users", "") == "users"
    assert (NAMING.place("users"), NAMING.place("users.pay")) == (("users", "shop"), ("users", "pay"))
    assert NAMING.place("users.pay.eu") == ("users", "pay.eu")
