"""Text that can be shown as it is."""

import pytest

from detour.mesh import is_line, is_scenario_name, is_text


@pytest.mark.parametrize("text", ["", "ana", "Äna O'Neill <ana@example.test>", "日本", "👩‍🚀", "a\u00a0b"])
def test_lines(text):
    """Any alphabet, and signs that are made of several characters."""
    assert is_line(text)
    assert is_text(text)


@pytest.mark.parametrize("text", ["two\nlines", "a\tb", "a\r\nb"])
def test_several_lines(text):
    """Are text, and no line."""
    assert not is_line(text)
    assert is_text(text)


@pytest.mark.parametrize("text", ["\x00", "\x1b[31m", "a\u202eb", "a\u2028b", "\ud800", "\x85", "\ufeffa"])
def test_what_can_not_be_shown(text):
    """Controls, turns of direction, halves of characters."""
    assert not is_line(text)
    assert not is_text(text)


@pytest.mark.parametrize("name", ["a", "0", "checkout-redesign", "a" * 63, "a--b"])
def test_scenario_names(name):
    """A name is one label of a host name."""
    assert is_scenario_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "ä", "a b", "a\n"])
def test_what_is_no_scenario_name(name):
    """A text that could not be a label of a host name is not a name."""
    assert not is_scenario_name(name)
