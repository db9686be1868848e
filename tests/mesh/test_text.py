"""Text that can be shown as it is."""

import pytest

from detour.mesh import is_line, is_scenario_name, is_text


@pytest.mark.parametrize("text", ["", "ana", "Äna O'Neill <ana@example.test>", "日本", "👩‍🚀", "a\u00a0b"])
def test_lines(text):
    """Any alphabet, and signs that are made of several characters."""
    assert is_line(text) is True
    assert is_text(text) is True


@pytest.mark.parametrize("text", ["two\nlines", "a\tb", "a\r\nb"])
def test_several_lines(text):
    """Are text, and no line."""
    assert not is_line(text)
    assert is_text(text)


@pytest.mark.parametrize(
    "text",
    [
        *("\x00", "\x1f", "\x1b[31m", "\x7f", "\x85", "\x9f", "a\u2028b", "a\u202eb", "a\u2066b", "\u2069"),
        *("\ufeffa", "\ud800", "\udfff", "two\nlines\x0b"),
    ],
)
def test_what_can_not_be_shown(text):
    """Controls, turns of direction, halves of characters."""
    assert not is_line(text)
    assert not is_text(text)


@pytest.mark.parametrize("text", ["\x20", "~", "\xa0", "\u2027", "\u202f", "\u2065", "\u206a", "\ufefe", "\ue000"])
def test_what_is_beside_that_can_be_shown(text):
    """Where the ranges end."""
    assert is_line(text)


@pytest.mark.parametrize("name", ["a", "0", "checkout-redesign", "a" * 63, "a--b"])
def test_scenario_names(name):
    """A name is one label of a host name."""
    assert is_scenario_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "ä", "a b", "a\n"])
def test_what_is_no_scenario_name(name):
    """A text that could not be a label of a host name is not a name."""
    assert not is_scenario_name(name)
