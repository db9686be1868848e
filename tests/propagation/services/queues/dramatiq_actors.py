"""Dramatiq's actors, on Redis; imported by who sends messages, and by the worker."""

from propagation.services.setup import set_up

set_up()

import os  # noqa: E402

import dramatiq  # noqa: E402
from dramatiq.brokers.redis import RedisBroker  # noqa: E402
from dramatiq.middleware import CurrentMessage  # noqa: E402

from propagation.services.sync_clients import call_on  # noqa: E402

broker = RedisBroker(url=os.environ["REDIS_URL"], namespace=os.environ["QUEUE"])
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)
_handlers = RedisBroker(url=os.environ["REDIS_URL"], namespace=os.environ["HANDLERS"])


@dramatiq.actor
def relay(errand: str) -> None:
    """Call on."""
    call_on(errand)


@dramatiq.actor(min_backoff=1, max_backoff=1)
def relay_again(errand: str) -> None:
    """Call on at the second try."""
    message = CurrentMessage.get_current_message()
    assert message
    if not message.options.get("retries"):
        raise RuntimeError("the first try fails")
    call_on(errand)


@dramatiq.actor
def pause() -> None:
    """Do nothing; something comes behind it."""


def send_on(errand: str) -> None:
    """Send a message to the worker that all services share."""
    _handlers.enqueue(relay.message(errand))
