import asyncio

import pytest

from demo.trees import VERIFIER, change, missing, silent, tree
from detour.demo.removal import SETTLED_SECONDS, Request, Stream, remove_under_load, verify_removal
from detour.demo.story import LIVE_REMOVAL

PLAIN, OFFLOADED = tree(), tree({"users": "pr-42"})
GONE = change(PLAIN, "users", lambda call: missing(call, "pr-42"))
SILENT = silent(PLAIN)


def stream(*requests):
    """Make a stream whose deployment is removed from 10.0 to 10.1 seconds."""
    return Stream(tuple(Request(*one) for one in requests), 10.0, 10.1)


def wrongs(*requests):
    """Judge such a stream."""
    return verify_removal(VERIFIER, stream(*requests), LIVE_REMOVAL.before, LIVE_REMOVAL.after)


SETTLED = 10.1 + SETTLED_SECONDS


def test_a_clean_removal_has_no_wrong_hop():
    """Served before, either way meanwhile, failing after, and the others untouched."""
    assert (
        wrongs(
            (True, 9.0, 9.9, OFFLOADED),
            (True, 9.9, 10.05, OFFLOADED),
            (True, 10.05, 10.2, GONE),
            (True, SETTLED, 11.0, GONE),
            (False, 9.0, 9.9, SILENT),
            (False, 10.0, 10.2, SILENT),
        )
        == []
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ((True, 9.0, 9.9, GONE), "before the removal: maps -> users failed"),
        (
            (True, 9.9, 10.2, PLAIN),
            "during the removal: maps -> users was served by users-1 (baseline), expected pr-42",
        ),
        (
            (True, SETTLED, 11.0, OFFLOADED),
            "after the removal: maps -> users was served by users-pr-42-1 (pr-42)",
        ),
        ((True, SETTLED, 11.0, PLAIN), "after the removal: maps -> users was served by users-1 (baseline)"),
        (
            (False, 10.0, 10.2, silent(OFFLOADED)),
            "no override: maps -> users was served by users-pr-42-1 (pr-42)",
        ),
        ((False, 10.0, 10.2, silent(GONE)), "no override: maps -> users failed"),
    ],
)
def test_each_way_to_go_wrong_is_found(request_, expected):
    """A request that failed too early, went on too long, or reached the wrong side is named with its moment."""
    assert wrongs(request_)[0].startswith(expected)


async def test_the_stream_has_requests_of_both_kinds_on_both_sides():
    """Requests go on before and after the removal, and it happens once."""
    removals = []

    async def send(*, overridden):
        await asyncio.sleep(0)
        return SILENT if not overridden else GONE if removals else OFFLOADED

    async def remove():
        removals.append(1)

    seen = await remove_under_load(lambda: send(overridden=False), lambda: send(overridden=True), remove)
    assert removals == [1]
    assert seen.before()
    assert seen.after()
    assert seen.plain()
    assert verify_removal(VERIFIER, seen, LIVE_REMOVAL.before, LIVE_REMOVAL.after) == []


async def test_a_removal_that_fails_is_raised_as_it_is():
    """The server's refusal ends the stream, and is not wrapped."""

    async def send():
        await asyncio.sleep(0)
        return PLAIN

    async def remove():
        raise RuntimeError("the server answered 500")

    with pytest.raises(RuntimeError, match="500"):
        await remove_under_load(send, send, remove)
