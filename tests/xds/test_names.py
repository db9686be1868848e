"""What a cluster's name says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.xds.names import Target, parse


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
    ],
)
def test_a_name_that_means_nothing_is_none(name: str) -> None:
    """Nothing is guessed."""
    assert parse(name) is None


@given(st.text(max_size=600))
def test_no_text_raises(name: str) -> None:
    """Whatever a client sends as its host arrives here."""
    target = parse(name)
    assert target is None or target.host == target.host.lower()
