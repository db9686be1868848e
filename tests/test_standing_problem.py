"""What the log has of problems that last."""

import logging

import pytest

from detour.standing_problem import StandingProblem, StandingProblems

LOG = logging.getLogger("test")


def test_a_problem_is_logged_when_it_begins_or_changes(caplog: pytest.LogCaptureFixture) -> None:
    """Not each time that it occurs; again once it has been over."""
    problem = StandingProblem(LOG)
    for text in ("the disk is full", "the disk is full", "the disk is away"):
        problem.begin(text)
    assert caplog.messages == ["the disk is full", "the disk is away"]
    assert problem.lines == ["the disk is away"]
    assert problem.end()
    assert not problem.end()
    assert problem.lines == []
    problem.begin("the disk is away")
    assert caplog.messages[2:] == ["the disk is away"]


def test_one_cause_is_one_problem_in_whatever_words(caplog: pytest.LogCaptureFixture) -> None:
    """The newest words are shown."""
    problem = StandingProblem(LOG, logging.WARNING)
    problem.begin("no answer: connection refused", cause=0)
    problem.begin("no answer: connection reset", cause=0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert problem.text == "no answer: connection reset"
    problem.begin("refused", cause=403)
    assert len(caplog.messages) == 2


def test_each_place_has_a_problem_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Shown by place; forgotten with it."""
    problems = StandingProblems(LOG)
    assert not problems
    for place in ("b", "a", "b", "c"):
        problems.begin(place, f"{place} is broken")
    assert caplog.messages == ["b is broken", "a is broken", "c is broken"]
    assert problems.lines == ["a is broken", "b is broken", "c is broken"]
    problems.end("a")
    problems.keep_only(["a", "b"])
    assert problems.lines == ["b is broken"]
    problems.begin("c", "c is broken")
    assert caplog.messages[3:] == ["c is broken"]
