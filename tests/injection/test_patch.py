"""JSON patches between any two values, and between a pod and the injected pod."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.injection import InjectionSettings, Mode, inject, patch

scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "~", "/", "~1"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["a", "b", "/", "~0", ""]), inner),
    max_leaves=20,
)

POD = {
    "metadata": {"generateName": "users-1-", "labels": {"app": "users"}},
    "spec": {"containers": [{"name": "a"}]},
}


def applied(value: Any, operations: list[dict]) -> Any:
    """Apply a patch as RFC 6902 says."""
    document = {"": deepcopy(value)}
    for operation in operations:
        keys = [""] + [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent: Any = document
        for key in keys[:-1]:
            parent = parent[int(key) if isinstance(parent, list) else key]
        key = int(keys[-1]) if isinstance(parent, list) else keys[-1]
        match operation["op"]:
            case "remove":
                del parent[key]
            case "add" if isinstance(parent, list):
                assert key <= len(parent)
                parent.insert(key, operation["value"])
            case "replace":
                assert not isinstance(parent, dict) or key in parent
                parent[key] = operation["value"]
            case _:
                parent[key] = operation["value"]
    return document[""]


def exact(value: Any) -> str:
    """True is not 1."""
    return repr(value) if not isinstance(value, dict | list) else repr(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(one)) for key, one in value.items())
    return [_sorted(one) for one in value] if isinstance(value, list) else value


@given(values, values)
def test_the_patch_of_one_value_gives_the_other(before: Any, after: Any) -> None:
    """Whatever they are; of equal ones it is empty."""
    assert exact(applied(before, patch(before, after))) == exact(after)
    assert patch(after, deepcopy(after)) == []


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("native", [True, False])
def test_the_patch_of_a_pod_gives_the_injected_pod(mode: Mode, native: bool) -> None:
    """And only adds: nothing of the pod's own is written anew."""
    after = inject(POD, InjectionSettings(mode, native=native))
    operations = patch(POD, after)
    assert applied(POD, operations) == after
    assert {operation["op"] for operation in operations} == {"add"}
