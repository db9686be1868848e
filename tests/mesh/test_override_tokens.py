"""What edges and servers of different versions agree on about override tokens."""

from datetime import timedelta

from detour.mesh import override_tokens


def test_what_is_agreed_on() -> None:
    """Written out by hand: a changed value is a changed promise."""
    assert override_tokens.HEADER == "x-detour-token"
    assert override_tokens.ISSUER == "detour"
    assert override_tokens.AUDIENCE == "detour-edge"
    assert timedelta(hours=1) == override_tokens.LIFE_MAX
    assert timedelta(seconds=30) == override_tokens.SKEW_MAX
