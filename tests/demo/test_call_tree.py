import json

import pytest

from demo.trees import change, missing, tree
from detour.demo.call_tree import from_json, hops, to_json


def test_an_answer_survives_json():
    """What an instance answers is what its caller reads, down to failed calls."""
    answer = change(tree({"users": "pr-42"}), "drivers", missing).answer
    assert from_json(json.loads(json.dumps(to_json(answer)))) == answer


@pytest.mark.parametrize("data", [{}, {"service": "users"}, {**to_json(tree().answer), "calls": [{"to": "x"}]}, []])
def test_what_is_no_answer_is_refused(data):
    """A response that is JSON, but not an answer, is a `ValueError` that shows it."""
    with pytest.raises(ValueError, match="not the answer of a demo service"):
        from_json(data)


def test_hops_are_gone_through_from_the_edge_to_the_last():
    """Each hop comes after the one that led to it, with its caller."""
    assert [(caller, call.to) for caller, call in hops(tree(), "edge")] == [
        ("edge", "web"),
        ("web", "rides"),
        ("rides", "drivers"),
        ("drivers", "maps"),
        ("maps", "users"),
        ("drivers", "users"),
        ("rides", "payments"),
        ("payments", "users"),
        ("payments", "receipts"),
        ("receipts", "users"),
        ("rides", "quotes"),
        ("quotes", "users"),
        ("rides", "users"),
    ]
