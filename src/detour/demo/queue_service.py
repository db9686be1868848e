"""A service behind a queue, and its client: Dramatiq on Redis.

The request's overrides travel in the message. The sender waits for the result, so that the hop is part of the call
tree. No sidecar is between sender and receiver, so `served_by` is empty.
"""

import asyncio
import os
from functools import cache, partial
from time import perf_counter
from typing import Any, Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from dramatiq.results.errors import ResultError

from detour.demo import http_service
from detour.demo.call_tree import Answer, Answerer, Call, Caller, elapsed_ms, from_json, to_json

BROKER: Final = "REDIS_URL"
"""The environment variable with the URL of the broker."""

_TIMEOUT_MS: Final = 10_000
_POLL_MS: Final = 20
_THREADS: Final = 4


async def serve(service: str, answer: Answerer, port: int) -> None:
    """Answer the queue's messages, and HTTP on a loopback port, until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()

    async def tree() -> dict[str, Any]:
        return to_json(await answer())

    def act() -> dict[str, Any]:
        return asyncio.run_coroutine_threadsafe(tree(), loop).result(_TIMEOUT_MS / 1000)

    options = {"store_results": True, "max_retries": 0}
    dramatiq.Actor(act, broker=_broker(), actor_name=service, queue_name=service, priority=0, options=options)
    worker = dramatiq.Worker(_broker(), worker_timeout=_POLL_MS, worker_threads=_THREADS)
    worker.start()
    try:
        await http_service.serve(service, answer, port)
    finally:
        await asyncio.to_thread(worker.stop)


def caller(to: str) -> Caller:
    """Return a caller that sends the service `to` a message and waits for the result."""
    return partial(_call, to)


async def _call(to: str) -> Call:
    start = perf_counter()
    try:
        answer = await asyncio.to_thread(_ask, to)
    except (ResultError, ValueError, OSError, dramatiq.DramatiqError) as error:
        return Call(to, "failed", "", elapsed_ms(start), f"{type(error).__name__}: {error}")
    return Call(to, "OK", "", elapsed_ms(start), answer=answer)


def _ask(to: str) -> Answer:
    message: dramatiq.Message[Any] = dramatiq.Message(queue_name=to, actor_name=to, args=(), kwargs={}, options={})
    sent = _broker().enqueue(message)
    return from_json(sent.get_result(backend=_results(), block=True, timeout=_TIMEOUT_MS))


@cache
def _broker() -> RedisBroker:
    broker = RedisBroker(url=os.environ[BROKER])  # type: ignore[no-untyped-call]
    broker.add_middleware(Results(backend=_results()))  # type: ignore[no-untyped-call]
    dramatiq.set_broker(broker)
    return broker


@cache
def _results() -> RedisBackend:
    return RedisBackend(url=os.environ[BROKER])
