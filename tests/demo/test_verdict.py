from dataclasses import replace

import pytest

from demo.trees import VERIFIER, change, missing, silent, tree
from detour.demo.call_tree import Answer, Call
from detour.demo.verdict import NO_OVERRIDE, Expectation, own_ms, tally

USERS_42 = Expectation(served_by={"users": "pr-42"})
USERS_404 = Expectation(missing={"users": "pr-404"})
CALLERS_OF_USERS = ("maps", "drivers", "payments", "receipts", "quotes", "rides")


def answered_by(instance: str, deployment: str = "", served_by: str | None = None):
    """Return the edit that lets another instance answer."""

    def edit(call: Call) -> Call:
        answer = replace(call.answer, instance=instance, deployment=deployment)
        return replace(call, answer=answer, served_by=call.served_by if served_by is None else served_by)

    return edit


@pytest.mark.parametrize(
    ("deployments", "expectation"),
    [
        ({}, Expectation()),
        ({"users": "pr-42"}, USERS_42),
        ({"users": "pr-42", "drivers": "pr-7"}, Expectation(served_by={"users": "pr-42", "drivers": "pr-7"})),
    ],
)
def test_a_tree_that_is_as_expected_has_no_wrong_hop(deployments, expectation):
    """Every hop served as asked, in the words of both witnesses, is right."""
    assert VERIFIER.verify(tree(deployments), expectation) == []


def test_a_hop_that_stayed_on_the_baseline_is_named():
    """Each caller that reached the baseline in place of the deployment is named, with both witnesses' words."""
    wrong = VERIFIER.verify(tree(), USERS_42)
    assert wrong == [
        line
        for caller in CALLERS_OF_USERS
        for line in (
            f"{caller} -> users was served by users-1 (baseline), expected pr-42",
            f"{caller} -> users has users in x-detour-served-by, expected users@pr-42",
        )
    ]


def test_a_hop_that_reached_an_offloaded_instance_unasked_is_named():
    """An offloaded instance in a request without overrides is wrong."""
    wrong = VERIFIER.verify(tree({"drivers": "pr-7"}), Expectation())
    assert wrong[0] == "rides -> drivers was served by drivers-pr-7-1 (pr-7), expected baseline"


def test_without_overrides_a_sidecar_has_nothing_to_say():
    """Its silence is right, and a word of it would be wrong: it took the request for one with overrides."""
    told = tree()
    assert VERIFIER.verify(silent(told), NO_OVERRIDE) == []
    assert VERIFIER.verify(told, NO_OVERRIDE)[0] == (
        "edge -> web has web in x-detour-served-by, expected nothing, because the request has no override"
    )


def test_a_sidecar_that_lies_is_found():
    """The instance is right, the sidecar's header is not: the hop is wrong."""
    wrong = VERIFIER.verify(change(tree(), "payments", lambda call: replace(call, served_by="")), Expectation())
    assert wrong == ["rides -> payments has nothing in x-detour-served-by, expected payments"]


def test_an_instance_that_is_not_what_the_sidecar_says_is_found():
    """The sidecar says that the deployment answered, but a baseline instance did: the hop is wrong."""
    wrong = VERIFIER.verify(change(tree({"users": "pr-42"}), "users", answered_by("users-1")), USERS_42)
    assert wrong == [
        f"{caller} -> users was served by users-1 (baseline), expected pr-42" for caller in CALLERS_OF_USERS
    ]


def test_an_instance_that_contradicts_itself_is_found():
    """The instance's name and its deployment do not belong together: the hop is wrong."""
    wrong = VERIFIER.verify(change(tree(), "payments", answered_by("payments-1", "pr-42")), Expectation())
    assert wrong == ["rides -> payments was served by payments-1, which reports to be pr-42"]


def test_an_instance_of_another_service_is_found():
    """A call of one service that is answered by another's instance is wrong."""
    other = change(tree(), "payments", lambda call: replace(call, answer=Answer("users", "users-1")))
    assert (
        VERIFIER.verify(other, Expectation())[0]
        == "rides -> payments was served by users-1 (baseline), expected baseline"
    )


def test_a_failed_hop_is_named_with_its_reason():
    """A failure where an answer was expected is told with the status and the words of the response."""
    failed = change(tree(), "drivers", lambda call: replace(call, status="UNAVAILABLE", answer=None, error="no"))
    assert VERIFIER.verify(failed, Expectation()) == [
        "rides -> drivers failed (UNAVAILABLE: no), expected baseline"
    ]


def test_a_failure_that_names_the_missing_deployment_is_right():
    """Where a deployment is missing, the 503 that says so is what is expected, and the rest works."""
    assert VERIFIER.verify(change(tree(), "users", missing), USERS_404) == []


def test_a_silent_fallback_is_found():
    """The baseline in place of a missing deployment is wrong unless the request asked for that."""
    assert VERIFIER.verify(tree(), USERS_404) == [
        f"{caller} -> users was served by users-1 (baseline), expected a failure that names users@pr-404"
        for caller in CALLERS_OF_USERS
    ]


def test_a_failure_that_does_not_say_what_is_missing_is_found():
    """A 503 for another reason is not what is expected."""
    other = change(tree(), "users", lambda call: replace(missing(call), error="no healthy upstream"))
    assert VERIFIER.verify(other, USERS_404)[0] == (
        "maps -> users failed (503: no healthy upstream), expected a failure that names users@pr-404"
    )


def test_a_hop_that_is_left_out_is_found():
    """An instance that answers without making its calls is wrong: a tree cannot pass by being short."""
    short = change(tree(), "payments", lambda call: replace(call, answer=replace(call.answer, calls=())))
    assert VERIFIER.verify(short, Expectation()) == [
        "rides -> payments led to calls of nothing, expected users, receipts"
    ]


def slower(milliseconds: float):
    """Return the edit that makes a call longer."""
    return lambda call: replace(call, duration_ms=call.duration_ms + milliseconds)


def test_a_delay_on_its_hop_is_right():
    """A delayed hop makes its callers slower too, which is not held against them."""
    delayed = change(change(change(tree(), "payments", slower(300)), "rides", slower(300)), "web", slower(300))
    assert VERIFIER.verify(delayed, Expectation(delayed_ms={"payments": 300})) == []


def test_a_delay_that_did_not_happen_or_hit_another_hop_is_found():
    """The delayed hop must be slow, and no other may be."""
    elsewhere = change(tree(), "drivers", slower(300))
    assert VERIFIER.verify(elsewhere, Expectation(delayed_ms={"payments": 300}))[:2] == [
        "rides -> drivers took 303 ms, though only calls of payments are delayed",
        "rides -> payments took 3 ms, expected 300 ms or more",
    ]


def test_own_time_leaves_out_the_calls_that_a_call_led_to():
    """Calls that run at once count by the longest of them."""
    rides = tree().answer.calls[0]
    assert own_ms(rides) == pytest.approx(3)


def test_while_something_changes_each_hop_may_be_either_way():
    """A hop may be as one expectation or as the other; as neither, it is wrong by the first."""
    before, after = USERS_42, Expectation(missing={"users": "pr-42"})
    offloaded = tree({"users": "pr-42"})
    assert VERIFIER.verify(offloaded, before, after) == []
    assert VERIFIER.verify(change(offloaded, "users", lambda call: missing(call, "pr-42")), before, after) == []
    assert (
        VERIFIER.verify(tree(), before, after)[0]
        == "maps -> users was served by users-1 (baseline), expected pr-42"
    )


def test_an_instance_that_got_nothing_is_named():
    """Where every baseline instance must serve something, the one that did not is named."""
    trees = [tree(), tree()]
    assert VERIFIER.verify_spread(trees, "users") == ["users-2, a baseline instance of users, served nothing"]
    both = [tree(), change(tree(), "users", answered_by("users-2"))]
    assert VERIFIER.verify_spread(both, "users") == []


def test_a_tally_counts_answers_by_instance_and_failures_by_status():
    """Six calls of users in each tree: six answers in one, six failures in the other."""
    assert tally([tree(), change(tree(), "users", missing)], "users") == {"users-1": 6, "failed (503)": 6}


def test_no_sidecar_has_a_word_to_say_of_a_queue():
    """One that claims to would be wrong."""
    claimed = change(tree({"users": "pr-42"}), "receipts", lambda call: replace(call, served_by="receipts"))
    (wrong,) = VERIFIER.verify(claimed, USERS_42)
    assert wrong.startswith("payments -> receipts has receipts in x-detour-served-by")
