"""Where a value has another shape than Kubernetes expects, in words."""

from typing import Any

import pytest

from detour.injection.shape import METADATA, POD, mistake


@pytest.mark.parametrize(
    ("value", "shape", "found"),
    [
        (7, {}, " is a number, expected a mapping"),
        (7.5, [str], " is a number, expected a list"),
        (True, str, " is a boolean, expected text"),
        ([], str, " is a list, expected text"),
        ({}, [str], " is a mapping, expected a list"),
        ("x", {}, " is text, expected a mapping"),
        ({"a": {"b": [1]}}, {"a": {"b": [str]}}, "a.b[0] is a number, expected text"),
        ({"a": {"b": ["x", "y", 1, 2]}}, {"a": {"b": [str]}}, "a.b[2] is a number, expected text"),
        ({"a": [{}, None]}, {"a": [{}]}, "a[1] is nothing, expected a mapping"),
        ({"a": [[], None]}, {"a": [[str]]}, "a[1] is nothing, expected a list"),
        ({"a": [[1]]}, {"a": [[str]]}, "a[0][0] is a number, expected text"),
        ({"b": 1, "a": 2}, {"a": str, "b": str}, "a is a number, expected text"),
        ({"a": "x", "b": [], "c": 1}, {"a": str, "b": str, "c": str}, "b is a list, expected text"),
    ],
)
def test_a_value_of_another_shape(value: Any, shape: Any, found: str) -> None:
    """The first mistake is named, with its place."""
    assert mistake(value, shape, "") == found
    below = found if found.startswith(" ") else f".{found}"
    assert mistake(value, shape, "spec.template") == f"spec.template{below}"


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (None, {}),
        (None, [str]),
        (None, str),
        ("", str),
        ([], [str]),
        (["a", "b"], [str]),
        ({}, {"a": str}),
        ({"a": None, "b": 7}, {"a": str}),
        ({"a": [{"b": "c"}, {}]}, {"a": [{"b": str}]}),
    ],
)
def test_a_value_of_that_shape(value: Any, shape: Any) -> None:
    """Null counts as missing, and other keys do not matter."""
    assert mistake(value, shape, "spec") == ""


@pytest.mark.parametrize("key", ["name", "generateName", "namespace", "labels", "annotations"])
def test_the_shape_of_metadata(key: str) -> None:
    """Text and mappings of text."""
    expected = "a mapping" if key in {"labels", "annotations"} else "text"
    assert mistake({key: 7}, METADATA, "metadata") == f"metadata.{key} is a number, expected {expected}"
    assert mistake({"metadata": {key: 7}}, POD, "") == f"metadata.{key} is a number, expected {expected}"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"containers": 7}, "spec.containers is a number, expected a list"),
        ({"initContainers": 7}, "spec.initContainers is a number, expected a list"),
        ({"volumes": 7}, "spec.volumes is a number, expected a list"),
        ({"volumes": [7]}, "spec.volumes[0] is a number, expected a mapping"),
        ({"securityContext": 7}, "spec.securityContext is a number, expected a mapping"),
        ({"os": 7}, "spec.os is a number, expected a mapping"),
        ({"containers": [{"name": 7}]}, "spec.containers[0].name is a number, expected text"),
        ({"containers": [{"env": 7}]}, "spec.containers[0].env is a number, expected a list"),
        ({"containers": [{"env": [{"name": 7}]}]}, "spec.containers[0].env[0].name is a number, expected text"),
        (
            {"initContainers": [{"securityContext": 7}]},
            "spec.initContainers[0].securityContext is a number, expected a mapping",
        ),
        (7, "spec is a number, expected a mapping"),
    ],
)
def test_the_shape_of_a_pod(spec: Any, found: str) -> None:
    """As far as injection depends on it."""
    assert mistake({"spec": spec}, POD, "") == found
