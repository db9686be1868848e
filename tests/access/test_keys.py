"""When keys of override tokens are created, sign, and are removed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detour.access.keys import AHEAD, PERIOD, Key, Times, needed, new_key, signing
from detour.mesh import PublicKey
from detour.mesh.override_tokens import LIFE_MAX, SKEW_MAX

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_how_long_keys_and_tokens_live() -> None:
    """Edges and servers of other versions count on it: written down, and not taken from the code."""
    day, hour, minutes, seconds = (
        timedelta(days=1),
        timedelta(hours=1),
        timedelta(minutes=10),
        timedelta(seconds=30),
    )
    assert (day, minutes, hour, seconds) == (PERIOD, AHEAD, LIFE_MAX, SKEW_MAX)
    assert Times() == Times(period=day, ahead=minutes)


def test_an_old_key_is_kept_until_its_last_token_is_over() -> None:
    """An hour after the next one has begun, and twice what clocks may differ."""
    first, second = (Key(name, NOW + days * PERIOD, bytes(32)) for days, name in enumerate("ab"))
    over = second.begins + timedelta(hours=1, minutes=1)
    assert list(needed([second, first], over - timedelta(microseconds=1))) == [first, second]
    assert list(needed([second, first], over)) == [second]
    assert list(needed([first], over + 99 * PERIOD)) == [first]


def test_which_key_signs() -> None:
    """The newest that has begun, by name where two began together; before all have begun, the first to begin."""
    keys = [Key(name, NOW + days * PERIOD, bytes(32)) for name, days in (("b", 0), ("a", 0), ("d", 2), ("c", 1))]
    for moment, name in ((-1, "a"), (0, "b"), (1, "c"), (2, "d"), (9, "d")):
        assert signing(keys, NOW + moment * PERIOD).name == name
    with pytest.raises(ValueError, match="no key to sign with"):
        signing([], NOW)


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


def test_the_public_part_of_a_key() -> None:
    """The point in base64url without padding (RFC 8037, section 2); the name is its beginning."""
    assert Key("a", NOW, bytes(32)).public == PublicKey("a", "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik")
    made = new_key([], NOW, Times())
    assert len(made.seed) == 32
    assert len(made.name) == 12
    assert made.public.point.startswith(made.name)


def test_a_new_key_is_due_by_the_newest() -> None:
    """Whatever their order; at that very moment, and not before."""
    times = Times(period=10 * MINUTE, ahead=MINUTE)
    keys = [Key(name, NOW + minutes * MINUTE, bytes(32)) for name, minutes in (("b", 10), ("a", 0))]
    due = NOW + 19 * MINUTE
    assert new_key(keys, due - timedelta(microseconds=1), times) is None
    assert new_key(keys, due, times).begins == NOW + 20 * MINUTE
