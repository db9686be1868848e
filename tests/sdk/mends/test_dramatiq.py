"""Dramatiq: messages on its broker for tests, which gives them to real workers."""

import asyncio
from collections.abc import Iterator

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AsyncIO
from opentelemetry.propagate import get_global_textmap, set_global_textmap

from detour.sdk import current, using
from detour.sdk.mends.dramatiq import mend
from detour.sdk.propagator import OverridesPropagator

ARRIVAL_MS = 10_000


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubBroker]:
    """Give a broker that is mended, with a worker."""
    others = get_global_textmap()
    set_global_textmap(OverridesPropagator(others))
    monkeypatch.setattr(dramatiq.Broker, "__init__", dramatiq.Broker.__init__)
    mend(dramatiq)
    broker = StubBroker()
    broker.add_middleware(AsyncIO())
    worker = dramatiq.Worker(broker, worker_timeout=20, worker_threads=2)
    worker.start()
    yield broker
    worker.stop()
    broker.close()
    set_global_textmap(others)


def test_a_message_that_is_sent_twice_carries_each_requests_own(broker: StubBroker) -> None:
    """Brokers send the service's own object, and leave it as it was."""
    found = []

    @dramatiq.actor(broker=broker)
    def note() -> None:
        found.append(current().route("users"))

    message = note.message()
    for overrides in (["users=pr-1"], ["users=pr-2"], []):
        with using(*overrides):
            broker.enqueue(message)
        broker.join(note.queue_name, timeout=ARRIVAL_MS)
    assert found == ["pr-1", "pr-2", None]
    assert message.options == {}


def test_an_asynchronous_actor_runs_under_its_messages_overrides(broker: StubBroker) -> None:
    """Also behind its first await, beside another's."""
    found = []

    @dramatiq.actor(broker=broker)
    async def note(deployment: str | None) -> None:
        await asyncio.sleep(0)
        found.append((deployment, current().route("users")))

    for deployment in ("pr-1", "pr-2", None):
        with using(*([f"users={deployment}"] if deployment else [])):
            note.send(deployment)
    broker.join(note.queue_name, timeout=ARRIVAL_MS)
    assert set(found) == {("pr-1", "pr-1"), ("pr-2", "pr-2"), (None, None)}


@pytest.mark.parametrize("carried", ["x", 5, ["x"], {"baggage": 5}, {"baggage": "override.route.users=%%"}])
def test_what_cannot_be_read_is_no_override(broker: StubBroker, carried: object) -> None:
    """And the actor runs."""
    found = []

    @dramatiq.actor(broker=broker)
    def note() -> None:
        found.append(current())

    broker.enqueue(note.message_with_options(detour=carried))
    broker.join(note.queue_name, timeout=ARRIVAL_MS)
    assert [bool(overrides) for overrides in found] == [False]
