"""Messages that are pulled: whose context is current when, and what comes back behind them."""

import asyncio
import copy
import gc
import pickle
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagate import get_global_textmap, set_global_textmap

from detour.sdk import current, using
from detour.sdk.mends.message import Batch, Taking, hold, kept, release, with_own
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


def test_consumers_that_are_asked_by_turns_leave_nothing_behind() -> None:
    """Neither a message of long ago, once there are no more, nor a context that grows with each."""
    first, second = Consumer(), Consumer()
    sizes = set()
    for number in range(10):
        for consumer, name in ((first, "first"), (second, "second")):
            hold(consumer, of(f"{name}-{number}"))
            assert route() == f"{name}-{number}"
        sizes.add(len(pickle.dumps(chain_of(get_current()))))
    assert len(sizes) == 1
    release(first)
    assert route() == "second-9"
    release(second)
    assert route() is None


def chain_of(context: Context) -> list[str]:
    """Return what is to come back when messages end, from the current one on."""
    held = [value for value in context.values() if hasattr(value, "before")]
    return [str(held[0].consumer), *chain_of(held[0].before)] if held else []


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


def test_a_batch_that_the_service_changes_is_the_list_that_it_made_of_it() -> None:
    """Sorted, longer, shorter, or of other things: they come as they are, and messages with their overrides."""
    consumer = Consumer()
    batch = Batch(["pr-1", "pr-2"], of, consumer)
    batch.sort(reverse=True)
    batch.extend(Batch(["pr-3"], of, consumer))
    assert [(message, route()) for message in batch] == [("pr-2",) * 2, ("pr-1",) * 2, ("pr-3",) * 2]
    for message in batch:
        batch.remove(message)
    assert batch == ["pr-1"]
    records = Batch([{"baggage": "override.route.users=pr-1"}], lambda record: record["headers"], consumer)
    records[:] = [1, None]
    assert [(record, route()) for record in records] == [(1, None), (None, None)]


def test_a_message_that_is_popped_is_current_until_the_next() -> None:
    """Who works a list off writes `messages.pop(0)`."""
    consumer = Consumer()
    batch = Batch(["pr-1", "pr-2", "pr-3"], of, consumer)
    assert [(batch.pop(0), route()), (batch.pop(), route())] == [("pr-1",) * 2, ("pr-3",) * 2]
    assert batch == ["pr-2"]
    release(consumer)


def test_a_batch_goes_to_other_processes_as_a_plain_list() -> None:
    """Whatever cannot go there, such as a lock of the consumer's, stays."""
    batch = Batch(["pr-1", "pr-2"], of, threading.Lock())
    for other in (pickle.loads(pickle.dumps(batch)), copy.copy(batch), copy.deepcopy(batch)):
        assert (type(other), other) == (list, ["pr-1", "pr-2"])


class Messages(Consumer):
    """A consumer that is iterated over."""

    def __init__(self) -> None:
        self.deployments = iter(["pr-1", "pr-2"])

    def __next__(self) -> str:
        release(self)
        deployment = next(self.deployments)
        hold(self, of(deployment))
        return deployment

    async def __anext__(self) -> str:
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    def __aiter__(self) -> AsyncIterator[str]:
        return self


async def test_leaving_a_loop_ends_the_message() -> None:
    """By break or an exception; the next loop goes on with the next message."""
    messages = Messages()
    for _ in Taking(messages):
        assert route() == "pr-1"
        break
    assert route() is None

    async def fail() -> None:
        async for _ in Taking(messages):
            assert route() == "pr-2"
            raise ValueError("the handler's own")

    with pytest.raises(ValueError, match="own"):
        await fail()
    assert route() is None
    assert list(Taking(messages)) == []


def test_a_loop_that_is_over_does_not_end_the_message_of_another() -> None:
    """An iterator that the service kept, and let go of later."""
    messages = Messages()
    over = Taking(messages)
    next(over)
    next(messages)
    del over
    gc.collect()
    assert route() == "pr-2"
    release(messages)


def test_headers_that_a_service_gives_with_each_message_stay_its_own() -> None:
    """Instrumentations write into a copy, wherever they are given."""
    headers = [("own", b"1")]
    by_place, none = with_own("headers", 1, ("topic", headers), {})
    assert by_place == ("topic", headers)
    assert (by_place[1] is headers, none) == (False, {})
    args, by_name = with_own("headers", 1, ("topic",), {"headers": headers, "key": b""})
    assert (args, by_name) == (("topic",), {"headers": headers, "key": b""})
    assert by_name["headers"] is not headers
    assert with_own("headers", 1, ("topic", None), {}) == (("topic", None), {})
    assert with_own("headers", 1, ("topic",), {}) == (("topic",), {})


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
    with kept():
        attach(before)
    assert route() == "pr-1"
    release(consumer)
    with kept():
        pass
    assert route() is None
