"""Trials that are under way."""

import re

import pytest

from detour.traffic.trials import TooManyTrialsError, Trials
from traffic.hops import hop


def test_trials_have_an_end():
    """A maximum at once, a maximum of hops each, and no hops after the end."""
    trials, heard = Trials(), []
    with trials.begun(lambda: heard.append(1)) as trial:
        assert trials.find(trial.id) is trial
        for _ in range(307):
            trial.take(hop("edge", "web", 0.0, 1.0))
        assert (len(trial.hops), trial.dropped, len(heard)) == (300, 7, 307)
    assert trials.find(trial.id) is trials.find(None) is trials.find("x") is None
    begun = [trials.begun(heard.clear) for _ in range(50)]
    for one in begun:
        one.__enter__()
    with (
        pytest.raises(
            TooManyTrialsError, match=r"^50 requests are being tried out at this moment: try again soon$"
        ),
        trials.begun(heard.clear),
    ):
        pass
    begun[0].__exit__(None, None, None)
    with trials.begun(heard.clear):
        pass


def test_trials_have_identities():
    """They cannot be guessed; each keeps its own hops, and ends also where something fails."""
    trials = Trials()
    with trials.begun(list) as one, trials.begun(list) as other:
        assert re.fullmatch("[0-9a-f]{24}", one.id)
        assert one.id != other.id
        one.take(hop("web", "users", 0.0, 1.0))
        assert (len(one.hops), other.hops) == (1, [])
        assert (trials.find(one.id), trials.find(other.id)) == (one, other)
    with pytest.raises(KeyError), trials.begun(list) as failing:
        raise KeyError
    assert trials.find(failing.id) is None


def test_a_trial_is_complete_when_its_edge_has_reported():
    """Which may come before other hops."""
    with Trials().begun(list) as trial:
        trial.take(hop("web", "users", 0.0, 1.0))
        assert not trial.has_edge
        trial.take(hop("edge", "web", 0.0, 1.0))
        trial.take(hop("users", "db", 0.0, 1.0))
        assert trial.has_edge
