"""The labels of a copy: no object that selects the baseline selects the copy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.offload.kubernetes.copying import Wanted, make_copy
from detour.offload.kubernetes.errors import CannotCopyError
from detour.offload.kubernetes.labelling import CopyLabels, labels_of_copy
from detour.offload.kubernetes.selectors import Requirement, Selection, Selector, equals
from offload.kubernetes.test_copying import WANTED, baseline

MARKS = {"detour.dev/offloaded": "pr-42", "detour.dev/service": "users"}


def requires(*expressions: tuple[str, str, list[str]], **labels: str) -> Selector:
    """Return a selector; double underscores in names of labels stand for `detour.dev/`."""
    equal = {key.replace("__", "detour.dev/"): value for key, value in labels.items()}
    return Selector(
        equal, tuple(Requirement(key, operator, tuple(values)) for key, operator, values in expressions)
    )


def relabelled(labels: dict[str, str], *selectors: Selector) -> CopyLabels:
    """Return the labels of a copy among objects with these selectors."""
    selections = [Selection("PodDisruptionBudget", str(n), selector) for n, selector in enumerate(selectors)]
    return labels_of_copy({**labels, **MARKS}, selections, "pr-42")


def changes(labels: dict[str, str], *selectors: Selector) -> dict[str, str | None]:
    """Return the labels that a copy has and its baseline has not; None for those that it lacks."""
    made = relabelled(labels, *selectors)
    assert made.selected_by == ()
    assert MARKS.items() <= made.values.items()
    before = {**labels, **MARKS}
    added = {key: value for key, value in made.values.items() if before.get(key) != value}
    return {**added, **{key: None for key in before if key not in made.values}}


def test_every_selector_of_the_baseline_is_avoided_with_few_changes() -> None:
    """The Service selects by one label, the Deployment and its budget by another."""
    labels = {"app": "users", "role": "api", "tier": "backend"}
    service, workload, budget = equals({"role": "api"}), equals({"app": "users"}), equals({"app": "users"})
    assert changes(labels, service, workload, budget) == {"app": "users--pr-42", "role": "api--pr-42"}
    assert changes(labels, service, equals({"app": "users", "role": "api"})) == {"role": "api--pr-42"}
    assert changes(labels, equals({"app": "other"})) == {}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (requires(("app", "In", ["users", "people"])), {"app": "users--pr-42"}),
        (requires(("app", "Exists", [])), {"app": None}),
        (requires(("tier", "NotIn", ["batch"]), app="users"), {"app": "users--pr-42"}),
        (requires(("canary", "DoesNotExist", []), ("tier", "Exists", [])), {"canary": "pr-42"}),
        (requires(("canary", "DoesNotExist", [])), {"canary": "pr-42"}),
        (requires(("app", "In", ["users", "users--pr-42"])), {"app": None}),
        (requires(("empty", "In", [""])), {"empty": "pr-42"}),
    ],
)
def test_every_operator_is_avoided(selector: Selector, expected: dict[str, str | None]) -> None:
    """With a change of a value where one is enough."""
    assert changes({"app": "users", "tier": "backend", "empty": ""}, selector) == expected


def test_one_removal_does_what_two_changes_would() -> None:
    """One selector names the value of a label, the other only the label."""
    assert changes({"app": "users"}, equals({"app": "users"}), requires(("app", "Exists", []))) == {"app": None}


def test_a_change_that_lets_another_selector_match_is_avoided() -> None:
    """A selector of all other applications would take the copy for one of them."""
    labels = {"app": "users", "tier": "backend"}
    others = requires(("app", "NotIn", ["users"]))
    assert changes(labels, equals(labels), others) == {"tier": "backend--pr-42"}
    backend = requires(("app", "NotIn", ["users"]), tier="backend")
    assert changes(labels, equals({"app": "users"}), backend) == {"app": "users--pr-42", "tier": "backend--pr-42"}


@pytest.mark.parametrize(
    "selector",
    [
        Selector(),
        requires(("app", "NotIn", ["batch"])),
        requires(__service="users"),
    ],
)
def test_a_selector_that_cannot_be_avoided_is_reported(selector: Selector) -> None:
    """The copy never takes on the identity of another application for that."""
    made = relabelled({"app": "users"}, selector)
    assert [str(one) for one in made.selected_by] == ["PodDisruptionBudget 0"]
    assert made.values == {"app": "users", **MARKS}


@pytest.mark.parametrize(
    "selector", [requires(__offloaded="pr-42"), requires(("detour.dev/offloaded", "Exists", []), app="users")]
)
def test_selectors_that_mean_copies_are_left_alone(selector: Selector) -> None:
    """The copy's own Deployment has one, and so may a policy for all copies."""
    made = relabelled({"app": "users"}, selector)
    assert (made.selected_by, made.values) == ((), {"app": "users", **MARKS})


def test_a_selector_that_excludes_copies_does_not_match() -> None:
    """This is what a note recommends."""
    excluding = requires(("detour.dev/offloaded", "DoesNotExist", []))
    assert changes({"app": "users"}, excluding) == {}


def test_an_unknown_operator_matches_nothing() -> None:
    """A later Kubernetes may have more."""
    assert changes({"app": "users"}, requires(("app", "Gt", ["1"]))) == {}
    assert Requirement("app", "In", None).is_met_by({"app": ""}) is False
    assert Requirement("app", "NotIn", None).is_met_by({"app": ""}) is True


def test_a_service_that_would_select_the_copy_anyway_is_refused() -> None:
    """It would send requests without overrides to the copy."""
    marked = Selection("Service", "all", requires(__service="users"))
    live: dict[str, Any] = baseline()
    with pytest.raises(CannotCopyError, match=r"^Service all would select the copy: let it also select by a label"):
        make_copy(live, [marked], WANTED)
    others = Selection("PodDisruptionBudget", "all", Selector())
    made = make_copy(live, [others], WANTED)
    assert made.selected_by == (others,)


KEYS = st.sampled_from(["a", "b", "c/instance", "detour.dev/offloaded"])
VALUES = st.sampled_from(["x", "y", "z" * 63, ""])
LABELS = st.dictionaries(KEYS.filter(lambda key: not key.startswith("detour.dev/")), VALUES, max_size=3)
EQUAL = st.builds(equals, st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
OPERATORS = st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"])
REQUIREMENTS = st.builds(Requirement, KEYS, OPERATORS, st.lists(VALUES, max_size=2).map(tuple))
ANY = st.builds(Selector, st.just(None), st.lists(REQUIREMENTS, max_size=3).map(tuple))


@given(LABELS, st.lists(EQUAL, max_size=6))
def test_selectors_of_values_are_always_avoided(labels: dict[str, str], selectors: list[Selector]) -> None:
    """Whatever they are, unless they mean copies; and the copy's own selector always matches."""
    made = relabelled(labels, *selectors)
    avoided = [one for one in selectors if not one.names("detour.dev/offloaded")]
    assert not any(one.matches(made.values) for one in avoided)
    assert MARKS.items() <= made.values.items()
    assert max(map(len, made.values.values())) <= 63


@given(LABELS, st.lists(ANY, max_size=6))
def test_what_is_not_avoided_is_reported(labels: dict[str, str], selectors: list[Selector]) -> None:
    """Whatever selectors there are: it ends, and reports exactly those that match."""
    made = relabelled(labels, *selectors)
    matching = [n for n, one in enumerate(selectors) if one.matches(made.values)]
    assert [int(one.name) for one in made.selected_by] == [
        n for n in matching if not selectors[n].names("detour.dev/offloaded")
    ]
    assert MARKS.items() <= made.values.items()


def test_the_copy_of_a_deployment_avoids_all_kinds() -> None:
    """Of a real object, with the labels of its template."""
    live = baseline()
    live["spec"]["template"]["metadata"]["labels"]["role"] = "api"
    selections = [
        Selection("Service", "users", equals({"role": "api"})),
        Selection("Deployment", "users", equals({"app": "users"})),
        Selection("ReplicaSet", "users-abc", equals({"app": "users", "pod-template-hash": "abc"})),
        Selection("Deployment", "users--pr-1", equals({**MARKS, "detour.dev/offloaded": "pr-1"})),
    ]
    wanted = Wanted("users", "pr-42", "reg.test:5000/users:2", "ana", WANTED.expires, "roll-1")
    made = make_copy(live, selections, wanted)
    labels = made.deployment["spec"]["template"]["metadata"]["labels"]
    assert (labels["app"], labels["role"], made.selected_by) == ("users--pr-42", "api--pr-42", ())
