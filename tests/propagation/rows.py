"""What is put to the proof: every service, and the clients and producers by which it calls on."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_GRPC: Final = ("grpc-unary", "grpc-client-stream", "grpc-server-stream", "grpc-bidi-stream")
_SYNC: Final = ("requests", "httpx", "urllib3", *_GRPC)
_ASYNC: Final = ("httpx", "aiohttp", *_GRPC)


@dataclass(frozen=True)
class Service:
    """A service that overrides enter, and what they are to leave it by.

    Args:
        name: What the table calls it.
        command: What runs it.
        clients: How it calls on; each is a row.
        entry: The gRPC client by which it is called; "" for HTTP.
        prefix: What stands before the client's name in the path, for services that serve in several ways.
        broker: The name of the broker that it needs.
        toolchain: The name of what it is built with; "" for Python.
        variables: What else it finds in its environment.
    """

    name: str
    command: tuple[str, ...]
    clients: tuple[str, ...]
    entry: str = ""
    prefix: str = ""
    broker: str = ""
    toolchain: str = ""
    variables: tuple[tuple[str, str], ...] = ()


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"propagation.services.{module}", *arguments)


PYTHON: Final = (
    Service("Flask", _python("flask_service"), (*_SYNC, "thread pool", "thread pool's map", "thread", "timer")),
    Service("Django (WSGI)", _python("django_service"), _SYNC),
    Service("Django (ASGI)", _python("django_service", "asgi"), _SYNC),
    Service("Django (ASGI), async view", _python("django_service", "asgi"), _ASYNC, prefix="async "),
    Service("FastAPI", _python("fastapi_service"), (*_ASYNC, "task", "executor", "to_thread")),
    Service("FastAPI, in its thread pool", _python("fastapi_service"), _SYNC, prefix="sync "),
    Service("FastAPI, background task", _python("fastapi_service"), _ASYNC, prefix="background "),
    Service("Starlette", _python("starlette_service"), _ASYNC),
    Service(
        "Starlette, background task", _python("starlette_service"), ("requests", "httpx"), prefix="background "
    ),
    Service("aiohttp", _python("aiohttp_service"), (*_ASYNC, "task", "executor", "to_thread")),
    Service(
        "gevent",
        _python("gevent_service"),
        (
            "requests",
            "urllib3",
            "thread",
            "thread pool",
            "gevent.spawn",
            "gevent.spawn_later",
            "gevent.spawn_raw",
            "gevent pool",
            "gevent pool's map",
            "gevent pool's imap",
            "gevent thread pool",
            "raw greenlet",
        ),
    ),
    *(Service(f"gRPC, {kind}", _python("grpc_service"), _SYNC, entry=kind) for kind in _GRPC),
    *(Service(f"gRPC asyncio, {kind}", _python("grpc_aio_service"), _ASYNC, entry=kind) for kind in _GRPC),
)


def _via(producer: str, clients: tuple[str, ...], own: str) -> tuple[str, ...]:
    """Have a message's handler call on by each client but the one by which it does anyway."""
    return tuple(f"{producer} > {client}" for client in clients if client != own)


PYTHON_QUEUES: Final = (
    Service(
        "Celery",
        _python("queues.celery_service"),
        ("delay", "countdown", "retry", "chain", "group", "chord", *_via("delay", _SYNC, "requests")),
        broker="Redis",
    ),
    Service(
        "RQ",
        _python("queues.rq_service"),
        ("enqueue", "retry", "enqueue > httpx", "enqueue > grpc-unary"),
        broker="Redis",
    ),
    Service(
        "Dramatiq",
        _python("queues.dramatiq_service"),
        ("send", "delay", "retry", "pipeline", *_via("send", _SYNC, "requests")),
        broker="Redis",
    ),
    Service(
        "pika",
        _python("queues.pika_service"),
        ("callback", "iterator", "basic_get", *_via("iterator", _SYNC, "requests")),
        broker="RabbitMQ",
    ),
    Service(
        "aio-pika",
        _python("queues.aio_pika_service"),
        ("callback", "iterator", "get", *_via("iterator", _ASYNC, "httpx")),
        broker="RabbitMQ",
    ),
    Service(
        "kafka-python",
        _python("queues.kafka_python_service"),
        ("iterator", "poll", *_via("iterator", _SYNC, "requests")),
        broker="Kafka",
    ),
    Service(
        "aiokafka",
        _python("queues.aiokafka_service"),
        ("iterator", "getmany", *_via("iterator", _ASYNC, "httpx")),
        broker="Kafka",
    ),
    Service(
        "confluent-kafka",
        _python("queues.confluent_kafka_service"),
        ("poll", "consume", *_via("poll", _SYNC, "requests")),
        broker="Kafka",
    ),
    Service(
        "SQS (boto3)",
        _python("queues.sqs_service"),
        (
            "send_message",
            "send_message_batch",
            "nine attributes",
            "ten attributes",
            "resources",
            *_via("send_message", _SYNC, "requests"),
        ),
        broker="ElasticMQ",
    ),
)


def _node(name: str, server: str, *clients: str, entry: str = "", broker: str = "") -> Service:
    command = ("node", str(_HERE / "typescript" / "dist" / "main.js"))
    return Service(name, command, clients, entry, "", broker, "TypeScript", (("SERVER", server),))


TYPESCRIPT: Final = (
    _node("Express", "express", "fetch", "axios", *_GRPC, "worker thread"),
    _node("Fastify", "fastify", "fetch", "axios", *_GRPC, "worker thread"),
    *(_node(f"grpc-js, {kind}", "grpc-js", "fetch", "axios", *_GRPC, entry=kind) for kind in _GRPC),
    _node("amqplib", "amqplib", "amqplib", "amqplib get", broker="RabbitMQ"),
)


def _go(name: str, server: str, *clients: str, entry: str = "", broker: str = "") -> Service:
    command = (str(_HERE / "go" / "dist" / "service"), server)
    return Service(name, command, clients, entry, "", broker, "Go")


GO: Final = (
    _go("net/http", "net/http", "net-http", *_GRPC),
    *(_go(f"grpc-go, {kind}", "grpc-go", "net-http", *_GRPC, entry=kind) for kind in _GRPC),
    _go("amqp091-go", "amqp091", "amqp091", broker="RabbitMQ"),
)

LANGUAGES: Final = {"Python": PYTHON, "Python, by queues": PYTHON_QUEUES, "Go": GO, "TypeScript": TYPESCRIPT}
"""All rows, in the order of the table."""
