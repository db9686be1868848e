"""The command line's short notation."""

import pytest
from hypothesis import example, given

from detour.overrides import Kind, Override, Overrides, parse_words, word_of
from overrides_strategies import SETS


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("users=pr-42", "override.route.users", "pr-42"),
        ("route.users=pr-42", "override.route.users", "pr-42"),
        ("override.route.users=pr-42", "override.route.users", "pr-42"),
        ("delay.payments=300ms", "override.delay.payments", "300ms"),
        ("missing=baseline", "override.missing", "baseline"),
        ("config.new-checkout=a=b c", "override.config.new-checkout", "a=b c"),
    ],
)
def test_a_word_is_an_override(word: str, key: str, value: str) -> None:
    """A bare service means a route."""
    (override,) = parse_words([word])
    assert (override.key, override.value) == (key, value)


@given(SETS)
@example(Overrides.collect(Override(Kind.ROUTE, name, "pr-1") for name in ("delay", "log.users", "users")))
def test_what_is_written_is_read_again(overrides: Overrides) -> None:
    """Also where a service is called like a kind."""
    assert parse_words(map(word_of, overrides)) == overrides


def test_a_word_is_as_short_as_it_can_be() -> None:
    """A route needs no kind, unless its service is called like one."""
    given_words = ["users=pr-42", "route.log.users=pr-1", "delay.users=1s", "missing=baseline"]
    assert [word_of(one) for one in parse_words(given_words)] == given_words


def test_a_service_that_is_called_like_a_kind_is_helped() -> None:
    """`config=pr-1` says nothing about a flag; perhaps it is a service."""
    with pytest.raises(ValueError, match=r"for a service called config: route\.config=pr-1"):
        parse_words(["config=pr-1"])


@pytest.mark.parametrize(
    "word", ["users", "", "=", "users=", "users=a b", "delay.users=5", "missing=x", "us ers=a"]
)
def test_a_word_that_is_none_is_explained(word: str) -> None:
    """To a person: which word, and what was expected."""
    with pytest.raises(ValueError, match=r"is not an override.*expected"):
        parse_words([word])


NAME = "expected letters, digits, dot, dash or underscore, at most 63, the first a letter or digit"


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("users", "expected SERVICE=DEPLOYMENT, such as users=pr-42"),
        ("users=a b", NAME),
        ("delay.users=5", "expected a delay such as 300ms or 1.5s, at most 60s"),
        ("log=pr-1", "expected a name behind override.log.; for a service called log: route.log=pr-1"),
        ("missing=x", "expected override.missing=baseline; for a service called missing: route.missing=x"),
    ],
)
def test_the_first_word_that_is_none_is_explained(word: str, why: str) -> None:
    """As it was typed."""
    with pytest.raises(ValueError, match="override") as raised:
        parse_words(["web=pr-1", word, "nothing"])
    assert str(raised.value).partition(": ")[::2] == (f"{word!r} is not an override", why)
