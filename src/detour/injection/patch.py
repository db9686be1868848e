"""The difference between two JSON values, as a JSON Patch (RFC 6902).

Invariant: the first value with the patch is the second. The patch has only additions, removals and replacements. It
does not replace a list that has only got more members.
"""

import json
from collections.abc import Iterator
from typing import Any

Operation = dict[str, Any]


def patch(before: Any, after: Any) -> list[Operation]:
    """Return the operations that turn `before` into `after`, in order."""
    return list(_difference("", before, after))


def _difference(path: str, before: Any, after: Any) -> Iterator[Operation]:
    if _same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_objects(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _of_lists(path, before, after)
    else:
        yield {"op": "replace", "path": path, "value": after}


def _of_objects(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Operation]:
    for key in before.keys() - after.keys():
        yield {"op": "remove", "path": _below(path, key)}
    for key, value in after.items():
        if key in before:
            yield from _difference(_below(path, key), before[key], value)
        else:
            yield {"op": "add", "path": _below(path, key), "value": value}


def _of_lists(path: str, before: list[Any], after: list[Any]) -> Iterator[Operation]:
    """Keep the members if all of them are in the second list, in the same order; else replace the list."""
    old, new = [_identity(one) for one in before], [_identity(one) for one in after]
    if not _is_within(old, new):
        yield {"op": "replace", "path": path, "value": after}
        return
    kept = 0
    for index, value in enumerate(after):
        if kept < len(old) and old[kept] == new[index]:
            yield from _difference(_below(path, index), before[kept], value)
            kept += 1
        else:
            yield {"op": "add", "path": _below(path, index), "value": value}


def _identity(member: Any) -> str:
    """Return the identity of a list's member: Kubernetes names containers, volumes and variables."""
    return json.dumps(member["name"] if isinstance(member, dict) and "name" in member else member, sort_keys=True)


def _is_within(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(one in rest for one in few)


def _below(path: str, key: str | int) -> str:
    """Return the pointer to a member (RFC 6901, section 3)."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: to Python, true is 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
