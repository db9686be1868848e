"""A mesh under load whose control plane is killed."""

from bench.restarts import withstand_restarts

KILLS = 3


async def test_requests_without_override_never_notice_the_control_plane() -> None:
    """None fails and none is served by an offloaded instance, while deployments come and go."""
    outcome = await withstand_restarts(KILLS)
    assert outcome.kills == KILLS
    assert outcome.failures == {}
    assert outcome.offloaded == 0
    assert outcome.requests > 100
    assert outcome.overridden > KILLS
    assert outcome.misled == 0
