"""Calling on from services that run on asyncio."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module
from typing import Any

from propagation.services.errands import errands, read

_SINK = os.environ["SINK_HTTP"]
_INTERLEAVING_SECONDS = 0.003


async def call(clients: str, number: str) -> None:
    """Wait a moment, so that requests interleave, and call on by each client."""
    await asyncio.sleep(random.uniform(0, _INTERLEAVING_SECONDS))
    for client, told in errands(clients, number):
        await CLIENTS[client](told)


async def call_on(errand: str) -> None:
    """Call on as a message says."""
    for client, told in read(errand):
        await CLIENTS[client](told)


async def by_httpx(number: str) -> None:
    """Call the sink with httpx."""
    (await _httpx().get(f"{_SINK}/{number}")).raise_for_status()


async def _by_aiohttp(number: str) -> None:
    async with _aiohttp().get(f"{_SINK}/{number}") as answer:
        answer.raise_for_status()


def _by_grpc(name: str) -> Callable[[str], Awaitable[None]]:
    async def by_grpc(number: str) -> None:
        from google.protobuf.wrappers_pb2 import StringValue

        sent = StringValue(value=number)
        request: Any = iter([sent]) if name in {"grpc-client-stream", "grpc-bidi-stream"} else sent
        answer = _grpc()[name](request, timeout=30)
        streams = name in {"grpc-server-stream", "grpc-bidi-stream"}
        found = [one async for one in answer] if streams else [await answer]
        assert [one.value for one in found] == [number]

    return by_grpc


async def _in_task(number: str) -> None:
    await asyncio.create_task(by_httpx(number))


async def _in_executor(number: str) -> None:
    from propagation.services.sync_clients import by_requests

    await asyncio.get_running_loop().run_in_executor(None, by_requests, number)


async def _to_thread(number: str) -> None:
    from propagation.services.sync_clients import by_requests

    await asyncio.to_thread(by_requests, number)


def _by_queue(module: str) -> Callable[[str], Awaitable[None]]:
    async def by_queue(number: str) -> None:
        await import_module(f"propagation.services.queues.{module}").send_on(f"httpx/{number}")

    return by_queue


def _blocking(name: str) -> Callable[[str], Awaitable[None]]:
    """Send from the coroutine by a library that is none of asyncio's, as services do with quick calls."""

    async def blocking(number: str) -> None:
        from propagation.services import sync_clients

        sync_clients.CLIENTS[name](number)

    return blocking


CLIENTS: dict[str, Callable[[str], Awaitable[None]]] = {
    "httpx": by_httpx,
    "aiohttp": _by_aiohttp,
    "task": _in_task,
    "executor": _in_executor,
    "to_thread": _to_thread,
    **{
        name: _by_grpc(name)
        for name in ("grpc-unary", "grpc-client-stream", "grpc-server-stream", "grpc-bidi-stream")
    },
    "aio-pika": _by_queue("aio_pika_producer"),
    "aiokafka": _by_queue("aiokafka_producer"),
    **{
        name: _blocking(name)
        for name in ("Celery", "RQ", "Dramatiq", "pika", "kafka-python", "confluent-kafka", "SQS (boto3)")
    },
}


@cache
def _httpx() -> Any:
    import httpx

    return httpx.AsyncClient(trust_env=False, timeout=30)


@cache
def _aiohttp() -> Any:
    import aiohttp

    return aiohttp.ClientSession()


@cache
def _grpc() -> dict[str, Any]:
    import grpc.aio

    from propagation.relay import calls

    return calls(grpc.aio.insecure_channel(os.environ["SINK_GRPC"], [("grpc.enable_http_proxy", 0)]))
