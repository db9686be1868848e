"""Messages that are pulled: whose context is current when, and what comes back behind them."""

import asyncio
import gc
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach, get_current
from opentelemetry.propagate import get_global_textmap, set_global_textmap

from detour.sdk import current, using
from detour.sdk.mends.message import Batch, hold, kept, release
from detour.sdk.propagator import OverridesPropagator


@pytest.fixture(autouse=True)
def propagators() -> Iterator[None]:
    """Set up the propagator, and see that nothing stays current behind a test."""
    others = get_global_textmap()
    set_global_textmap(OverridesPropagator(others))
    token = attach(get_current())
    yield
    left = current()
    detach(token)
    set_global_textmap(others)
    assert not left


def of(deployment: str) -> dict[str, str]:
    """Return the headers of a message with an override."""
    return {"baggage": f"team=rides,override.route.users={deployment}"} if deployment else {}


def route() -> str | None:
    """Return what the current message says of users."""
    return current().route("users")


class Consumer:
    """Somebody who takes messages."""


def test_a_message_is_current_until_the_next_one() -> None:
    """And nothing of it is left when the next has no overrides."""
    consumer = Consumer()
    hold(consumer, of("pr-1"))
    assert (route(), baggage.get_baggage("team")) == ("pr-1", "rides")
    hold(consumer, of("pr-2"))
    assert route() == "pr-2"
    hold(consumer, {})
    assert (route(), baggage.get_baggage("team")) == (None, None)
    release(consumer)


def test_what_was_current_before_comes_back() -> None:
    """However many messages came in between."""
    consumer = Consumer()
    with using("users=before"):
        for number in range(5):
            hold(consumer, of(f"pr-{number}"))
        release(consumer)
        assert route() == "before"
        release(consumer)
        assert route() == "before"


def test_a_release_does_not_undo_what_others_made_current() -> None:
    """A block that the service itself has opened."""
    consumer = Consumer()
    hold(consumer, of("pr-1"))
    with using("users=own"):
        release(Consumer())
        assert route() == "own"
    release(consumer)


def test_two_consumers_do_not_end_each_others_messages() -> None:
    """One that is read within the handling of another's message."""
    outer, inner = Consumer(), Consumer()
    hold(outer, of("pr-1"))
    hold(inner, of("pr-2"))
    release(inner)
    assert route() == "pr-1"
    release(outer)


def test_each_thread_has_messages_of_its_own() -> None:
    """Also of one consumer."""
    consumer, found = Consumer(), []
    hold(consumer, of("pr-1"))
    thread = threading.Thread(target=lambda: (release(consumer), found.append(route())))
    thread.start()
    thread.join()
    assert (found, route()) == ([None], "pr-1")
    release(consumer)


async def test_each_task_has_messages_of_its_own() -> None:
    """One that was started for a message keeps its overrides, whatever the consumer takes next."""
    consumer, go_on = Consumer(), asyncio.Event()

    async def handle() -> str | None:
        await go_on.wait()
        return route()

    hold(consumer, of("pr-1"))
    task = asyncio.create_task(handle())
    hold(consumer, of("pr-2"))
    go_on.set()
    assert await task == "pr-1"
    release(consumer)


def test_a_batch_is_gone_through_message_by_message() -> None:
    """A plain list to everybody else."""
    consumer = Consumer()
    batch = Batch(["pr-1", "", "pr-2"], of, consumer)
    assert [(message, route()) for message in batch] == [("pr-1", "pr-1"), ("", None), ("pr-2", "pr-2")]
    assert route() is None
    assert batch == ["pr-1", "", "pr-2"]
    assert (len(batch), sorted(batch), "pr-2" in batch) == (3, ["", "pr-1", "pr-2"], True)
    assert [route() for _ in batch[1:]] == [None, "pr-2"]


def test_leaving_a_batch_ends_the_message() -> None:
    """By break, or by an exception."""
    consumer = Consumer()
    for _ in Batch(["pr-1", "pr-2"], of, consumer):
        break
    gc.collect()
    assert route() is None

    def fail() -> None:
        for _ in Batch(["pr-1", "pr-2"], of, consumer):
            raise ValueError("the handler's own")

    with pytest.raises(ValueError, match="own"):
        fail()
    gc.collect()
    assert route() is None


def test_a_message_by_its_index_is_current_until_the_next() -> None:
    """Who asks for one at a time writes `messages[0]`."""
    consumer = Consumer()
    batch = Batch(["pr-1", "pr-2"], of, consumer)
    assert (batch[0], route()) == ("pr-1", "pr-1")
    assert (batch[-1], route()) == ("pr-2", "pr-2")
    release(consumer)
    assert route() is None


def test_what_an_instrumentation_makes_current_for_a_message_goes_with_it() -> None:
    """A list that attaches a span when a message is taken out of it."""

    class Attaching(list):
        def __getitem__(self, index: int) -> str:
            attach(baggage.set_baggage("theirs", "span"))
            return list.__getitem__(self, index)

    for _ in Batch(Attaching(["pr-1", "pr-2"]), of, Consumer()):
        pass
    assert baggage.get_baggage("theirs") is None


def test_a_context_is_kept_through_what_ends_it() -> None:
    """As where an instrumentation ends its own when the message is deleted."""
    consumer, before = Consumer(), get_current()
    hold(consumer, of("pr-1"))
    with kept(consumer):
        attach(before)
    assert route() == "pr-1"
    release(consumer)
    with kept(consumer):
        pass
    assert route() is None
