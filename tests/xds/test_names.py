"""What a cluster's name says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.mesh import Naming
from detour.xds.names import HOST_MAX, NAME_MAX, Target, _parsed, parse


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("users", Target("users")),
        ("Users:8080", Target("users", 8080)),
        ("users@pr-42", Target("users", deployment="pr-42")),
        ("users:8080@pr-42,baseline", Target("users", 8080, "pr-42", falls_back=True)),
        ("connect@users:50051", Target("users", 50051, is_tunnel=True)),
        ("connect@connect:1", Target("connect", 1, is_tunnel=True)),
        ("connect", Target("connect")),
        ("[::1]:80", Target("[::1]", 80)),
        ("users.:99999", Target("users.", 99999)),
        ("a_b-c.d0", Target("a_b-c.d0")),
        ("connect@users:443,overrides", Target("users", 443, is_tunnel=True, has_overrides=True)),
        ("connect@[::1]:443", Target("[::1]", 443, is_tunnel=True)),
        ("a" * 254 + ":65535", Target("a" * 254, 65535)),
        (f"connect@{'a' * 254}:65535,overrides", Target("a" * 254, 65535, is_tunnel=True, has_overrides=True)),
        (f"{'a' * 254}:65535@{'b' * 63},baseline", Target("a" * 254, 65535, "b" * 63, falls_back=True)),
    ],
)
def test_a_name_is_taken_apart(name: str, target: Target) -> None:
    """Host, port, deployment, fallback and tunnel are told apart."""
    assert parse(name) == target


@pytest.mark.parametrize(
    "name",
    [
        "",
        "@",
        "@pr-42",
        "users@",
        "users@pr 42",
        "users@a@b",
        "users,baseline",
        "users@,baseline",
        "us ers",
        "ü",
        "users:x",
        "users:",
        "users:123456",
        "users:٣",
        "users\n",
        "users:80,overrides",
        "users@pr-42,overrides",
        "connect@users@pr-42",
        "connect@users@pr-42,overrides",
        "connect@",
        "connect@,overrides",
        "a" * 255,
        f"connect@{'a' * 255}:1",
        f"users@{'b' * 64}",
    ],
)
def test_a_name_that_means_nothing_is_none(name: str) -> None:
    """Nothing is guessed."""
    assert parse(name) is None


def test_the_longest_names_that_mean_something() -> None:
    """As DNS and overrides allow."""
    assert (HOST_MAX, NAME_MAX) == (254, 341)


def test_a_host_means_what_it_means_to_the_caller() -> None:
    """In its own namespace."""
    shop = Naming("shop")
    assert parse("users:80@pr-42", shop, "pay") == Target("users.pay", 80, "pr-42")
    assert parse("Users.Shop.svc", shop, "pay") == parse("users", shop) == Target("users")
    assert parse("users.pay") == Target("users.pay")
    assert parse("connect@users", shop, "pay") == Target("users.pay", is_tunnel=True)


def test_what_people_call_it() -> None:
    """Without its port."""
    assert Target("users", 80).label == "users"
    assert Target("users", 80, "pr-42", falls_back=True).label == "users@pr-42"
    assert Target("users") == Target("users", None, None, False, False, False)


@given(st.text(max_size=600))
def test_no_text_raises(name: str) -> None:
    """Whatever a client sends as its host arrives here."""
    target = parse(name)
    assert target is None or target.host == target.host.lower()


def test_names_that_mean_nothing_do_not_fill_the_memory() -> None:
    """One that is too long is not remembered; of others two thousand are."""
    before = _parsed.cache_info()
    assert parse("a" * 342) is None
    assert _parsed.cache_info() == before
    parse("a-name-that-nobody-has-asked-for")
    assert _parsed.cache_info().misses == before.misses + 1
    assert before.maxsize == 2000
