"""Flags for one request, without OpenFeature."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.overrides import Kind, Override, Overrides
from detour.sdk import flag, using
from detour.sdk.flags import FlagError, read_object, reader

VECTORS = json.loads((Path(__file__).parents[2] / "sdk/vectors/flags.json").read_text(encoding="utf-8"))
READERS = {
    "boolean": reader(bool),
    "string": reader(str),
    "integer": reader(int),
    "float": reader(float),
    "object": read_object,
}


def says(text: str) -> Overrides:
    """Return the overrides of a request in which the flag `colour` has this text."""
    return Overrides.collect([Override(Kind.CONFIG, "colour", text)])


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{case['type']} {case['text']!r}")
def test_texts_are_read_as_every_language_does(case: dict[str, Any]) -> None:
    """The vectors that all SDKs share."""
    read = READERS[case["type"]]
    if "error" in case:
        with pytest.raises(FlagError) as raised:
            read(case["text"])
        assert raised.value.fault == case["error"]
    else:
        value = read(case["text"])
        assert value == case["value"]
        assert type(value) is type(case["value"])


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("on", False, True),
        ("off", True, False),
        ("blue", "red", "blue"),
        ("7", 1, 7),
        ("0.5", 1.0, 0.5),
        ("7", 1.0, 7.0),
        ('{"a": 1}', {}, {"a": 1}),
        ("[1, 2]", [], [1, 2]),
    ],
)
def test_the_default_says_the_type(text: str, default: object, value: object) -> None:
    """Of what the request says."""
    with using(says(text)):
        assert flag("colour", default) == value
        assert type(flag("colour", default)) is type(default)


def test_what_the_request_does_not_say_is_the_default() -> None:
    """With a request and without one."""
    assert flag("colour", "red") == "red"
    with using(says("blue"), "users=pr-42"):
        assert flag("size", 3) == 3
    assert flag("colour", "red") == "red"


def test_a_text_without_a_value_gives_the_default_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked for."""
    with caplog.at_level(logging.WARNING), using(says("purple, told once")):
        assert flag("colour", False) is False
        assert flag("colour", False) is False
    (told,) = caplog.messages
    assert told.endswith(
        "'override.config.colour=purple, told once' is ignored: expected true, on, 1, false, off or 0"
    )


@pytest.mark.parametrize(("text", "default"), [("[1]", {"a": 1}), ('{"a": 1}', [1]), ("3", [1])])
def test_json_of_another_kind_gives_the_default(text: str, default: object) -> None:
    """A service that asked for a list gets no dictionary."""
    with using(says(text)):
        assert flag("colour", default) == default


@pytest.mark.parametrize("default", [None, b"", 1j, object()])
def test_a_default_of_another_type_is_a_mistake_of_the_service(default: object) -> None:
    """It is raised whether or not a request says something, so that the first run shows it."""
    with pytest.raises(TypeError, match="a flag can't be a"):
        flag("colour", default)


@given(st.text(max_size=200), st.sampled_from([True, "", 0, 0.5, {"a": 1}, [1]]))
def test_no_text_raises(text: str, default: object) -> None:
    """Nor gives a value of another type."""
    try:
        overrides = says(text)
    except ValueError:  # no text in UTF-8
        return
    with using(overrides):
        assert type(flag("colour", default)) is type(default)


@pytest.mark.parametrize("text", ["[" * 5000, "9" * 5000, "-" + "9" * 5000, "1" + "0" * 400, '{"a": ' * 3000])
def test_no_length_raises(text: str) -> None:
    """Of nesting, or of digits."""
    for default in (0, 0.5, {"a": 1}, [1]):
        with using(says(text)):
            assert flag("colour", default) == default
