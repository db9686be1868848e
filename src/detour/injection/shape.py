"""The shape of Kubernetes objects, as far as injection depends on it.

Invariant: pure, and defined for all values. Injection works on every object of that shape.
"""

from collections.abc import Iterator
from typing import Any, Final

Shape = dict[str, Any] | list[Any] | type[str]
"""A mapping with the shapes of some of its keys, a list with the shape of its items, or text."""

METADATA: Final = {"name": str, "generateName": str, "namespace": str, "labels": {}, "annotations": {}}
_CONTAINER: Final = {"name": str, "env": [{"name": str}], "securityContext": {}}
POD: Final = {
    "metadata": METADATA,
    "spec": {
        "containers": [_CONTAINER],
        "initContainers": [_CONTAINER],
        "volumes": [{}],
        "securityContext": {},
        "os": {},
    },
}


def mistake(value: Any, shape: Shape, at: str) -> str:
    """Return where a value has another shape, and what is expected there; empty without a mistake.

    Null counts as missing, except for the items of lists.

    Args:
        value: The value, from YAML or JSON.
        shape: The expected shape.
        at: The path of the value, such as `spec.template`; empty for a whole document.
    """
    if value is None:
        return ""
    kind = shape if isinstance(shape, type) else type(shape)
    if not isinstance(value, kind):
        return f"{at} is {_name(value)}, expected {_NAMES[kind]}"
    return next(filter(None, _mistakes_within(value, shape, at)), "")


def _mistakes_within(value: Any, shape: Shape, at: str) -> Iterator[str]:
    if isinstance(shape, dict):
        yield from (mistake(value.get(key), inner, f"{at}.{key}".lstrip(".")) for key, inner in shape.items())
    elif isinstance(shape, list):
        yield from (_item(item, shape[0], f"{at}[{index}]") for index, item in enumerate(value))


def _item(value: Any, shape: Shape, at: str) -> str:
    return f"{at} is nothing, expected {_NAMES[type(shape)]}" if value is None else mistake(value, shape, at)


_NAMES: Final[dict[Any, str]] = {dict: "a mapping", list: "a list", str: "text", bool: "a boolean"}


def _name(value: Any) -> str:
    return _NAMES.get(type(value), "a number")
