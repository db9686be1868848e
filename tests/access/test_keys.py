"""When keys of override tokens are created, sign, and are removed."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from detour.access.keys import AHEAD, PERIOD, Key, Times, needed, new_key, signing
from detour.mesh.override_tokens import LIFE_MAX, SKEW_MAX

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_the_first_key_signs_at_once() -> None:
    """No other key exists yet; the next one is created before it begins to sign."""
    first = new_key([], NOW, Times())
    assert first.begins == NOW
    due = NOW + PERIOD - AHEAD
    assert new_key([first], due - MINUTE, Times()) is None
    second = new_key([first], due, Times())
    assert second.begins == NOW + PERIOD
    assert signing([second, first], second.begins - MINUTE) == first
    assert signing([second, first], second.begins) == second
    assert first.name != second.name


def test_the_old_key_signs_until_edges_have_the_new_one() -> None:
    """However late the new key is created."""
    first = new_key([], NOW, Times())
    late = NOW + 5 * PERIOD
    second = new_key([first], late, Times())
    assert second.begins == late + AHEAD
    assert signing([first, second], late + AHEAD - MINUTE) == first


@given(looked=st.lists(st.integers(1, 40), min_size=1, max_size=200))
def test_every_valid_token_has_its_key(looked: list[int]) -> None:
    """At any time: edges know a key before it signs, and keep it until its last token has expired."""
    times = Times(period=timedelta(minutes=30), ahead=AHEAD)
    keys: list[Key] = []
    made: dict[str, datetime] = {}
    signed: dict[str, datetime] = {}
    now = NOW
    for minutes in looked:
        keys = list(needed(keys, now))
        if key := new_key(keys, now, times):
            keys.append(key)
            made[key.name] = now
        signer = signing(keys, now)
        assert signer.begins <= now
        assert signer.name == next(iter(made)) or now - made[signer.name] >= AHEAD
        signed[signer.name] = now
        kept = {key.name for key in keys}
        for name, moment in signed.items():
            assert name in kept or moment + LIFE_MAX + SKEW_MAX < now
        assert len(kept) <= 2 + (LIFE_MAX + 2 * SKEW_MAX) // times.period + 1
        now += minutes * MINUTE
