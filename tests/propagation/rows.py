"""What is put to the proof: every service, and the clients and producers by which it calls on."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent

VIA: Final = " > "
"""Stands between a service's own producer and the client by which the message's handler calls on."""

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
        brokers: The names of the brokers that it needs.
        toolchain: The name of what it is built with; "" for Python.
        variables: What else it finds in its environment.
    """

    name: str
    command: tuple[str, ...]
    clients: tuple[str, ...]
    entry: str = ""
    prefix: str = ""
    brokers: tuple[str, ...] = ()
    toolchain: str = ""
    variables: tuple[tuple[str, str], ...] = ()


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"propagation.services.{module}", *arguments)


def _sync(name: str, command: tuple[str, ...], *more: str, entry: str = "", prefix: str = "") -> Service:
    return Service(name, command, (*_SYNC, *more), entry, prefix)


def _async(name: str, command: tuple[str, ...], *more: str, entry: str = "", prefix: str = "") -> Service:
    return Service(name, command, (*_ASYNC, *more), entry, prefix)


_WITH_THREADS: Final = (
    _sync("Flask", _python("flask_service"), "thread pool", "thread pool's map", "thread", "timer"),
    _sync("Django (WSGI)", _python("django_service")),
    _sync("Django (ASGI)", _python("django_service", "asgi")),
    _sync("FastAPI, in its thread pool", _python("fastapi_service"), prefix="sync "),
    _sync("Starlette, background function", _python("starlette_service"), prefix="function: "),
    *(_sync(f"gRPC, {kind}", _python("grpc_service"), entry=kind) for kind in _GRPC),
    Service(
        "gevent",
        _python("gevent_service"),
        (
            "requests",
            "httpx",
            "urllib3",
            "thread",
            "thread pool",
            "timer",
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
)

_WITH_COROUTINES: Final = (
    _async("Django (ASGI), async view", _python("django_service", "asgi"), prefix="async "),
    _async("FastAPI", _python("fastapi_service"), "task", "executor", "to_thread"),
    _async("FastAPI, background task", _python("fastapi_service"), prefix="background "),
    _async("Starlette", _python("starlette_service")),
    _async("Starlette, background coroutine", _python("starlette_service"), prefix="coroutine: "),
    _async("aiohttp", _python("aiohttp_service"), "task", "executor", "to_thread"),
    *(_async(f"gRPC asyncio, {kind}", _python("grpc_aio_service"), entry=kind) for kind in _GRPC),
)

_Producers = Mapping[tuple[str, ...], tuple[str, ...]]

_SYNC_PRODUCERS: Final[_Producers] = {
    ("Redis", "RabbitMQ"): ("Celery", "RQ", "Dramatiq", "pika"),
    ("Kafka", "ElasticMQ"): ("kafka-python", "confluent-kafka", "SQS (boto3)"),
}
"""What services with threads can call on by, and the brokers for it: those of Debian, and the others."""

_ASYNC_PRODUCERS: Final[_Producers] = {
    ("Redis", "RabbitMQ"): ("aio-pika", *_SYNC_PRODUCERS["Redis", "RabbitMQ"]),
    ("Kafka", "ElasticMQ"): ("aiokafka", *_SYNC_PRODUCERS["Kafka", "ElasticMQ"]),
}


def _to_queues(services: tuple[Service, ...], producers: _Producers) -> Iterator[Service]:
    for service in services:
        for brokers, clients in producers.items():
            yield replace(service, clients=clients, brokers=brokers)


def _queue(name: str, module: str, broker: str, *producers: str) -> Service:
    return Service(name, _python(f"queues.{module}"), producers, brokers=(broker,))


_QUEUES_WITH_THREADS: Final = (
    _queue("Celery", "celery_service", "Redis", "delay", "countdown", "retry", "chain", "group", "chord"),
    _queue("RQ", "rq_service", "Redis", "within", "enqueue", "retry"),
    _queue("Dramatiq", "dramatiq_service", "Redis", "send", "delay", "retry", "pipeline"),
    _queue("pika", "pika_service", "RabbitMQ", "iterator", "callback", "basic_get"),
    _queue("kafka-python", "kafka_python_service", "Kafka", "iterator", "poll"),
    _queue("confluent-kafka", "confluent_kafka_service", "Kafka", "poll", "consume"),
    _queue(
        "SQS (boto3)",
        "sqs_service",
        "ElasticMQ",
        "send_message",
        "send_message_batch",
        "nine attributes",
        "ten attributes",
        "resources",
    ),
)

_QUEUES_WITH_COROUTINES: Final = (
    _queue("aio-pika", "aio_pika_service", "RabbitMQ", "iterator", "callback", "get"),
    _queue("aiokafka", "aiokafka_service", "Kafka", "iterator", "getmany"),
)

HANDLERS: Final = {one.name: one for one in (*_QUEUES_WITH_THREADS, *_QUEUES_WITH_COROUTINES)}
"""What takes the messages of all services, by the name of the client that sends them."""


def together(service: Service) -> Iterator[tuple[str, ...]]:
    """Give the clients by which one request may have a service call on: those behind the same producer, if any."""
    groups: dict[str, list[str]] = {}
    for client in service.clients:
        producer, via, _ = client.rpartition(VIA)
        alone = client if service.name in HANDLERS else ""
        groups.setdefault(f"{producer}{via}" or alone, []).append(client)
    return map(tuple, groups.values())


def handlers(service: Service) -> Iterator[Service]:
    """Give what must take messages beside a service: the handlers of what it sends."""
    for client in service.clients:
        _, _, last = client.rpartition(VIA)
        if last in HANDLERS:
            yield HANDLERS[last]


def _via(service: Service, clients: tuple[str, ...]) -> tuple[str, ...]:
    """Name the ways on for messages' handlers, after the first of the ways of sending."""
    return tuple(f"{service.clients[0]}{VIA}{client}" for client in clients)


def _to_clients(services: tuple[Service, ...], clients: tuple[str, ...]) -> Iterator[Service]:
    for service in services:
        yield replace(service, clients=(*service.clients, *_via(service, clients)))


def _via_queues(services: tuple[Service, ...], producers: _Producers) -> Iterator[Service]:
    for brokers, clients in producers.items():
        for service in services:
            together = tuple(dict.fromkeys((*service.brokers, *brokers)))
            yield replace(service, clients=_via(service, clients), brokers=together)


def _node(name: str, server: str, *clients: str, entry: str = "", brokers: tuple[str, ...] = ()) -> Service:
    command = ("node", str(_HERE / "typescript" / "dist" / "main.js"))
    return Service(name, command, clients, entry, "", brokers, "TypeScript", (("SERVER", server),))


_NODE_CLIENTS: Final = ("fetch", "axios", *_GRPC)

_NODE_SERVERS: Final = (
    _node("Express", "express", *_NODE_CLIENTS, "worker thread"),
    _node("Fastify", "fastify", *_NODE_CLIENTS, "worker thread"),
    *(_node(f"grpc-js, {kind}", "grpc-js", *_NODE_CLIENTS, entry=kind) for kind in _GRPC),
)

_NODE_PRODUCERS: Final = ("amqplib", "amqplib get")

_NODE_QUEUES: Final = tuple(_node("amqplib", "node:http", one, brokers=("RabbitMQ",)) for one in _NODE_PRODUCERS)

TYPESCRIPT: Final = (
    *_NODE_SERVERS,
    *_to_queues(_NODE_SERVERS, {("RabbitMQ",): _NODE_PRODUCERS}),
    *(replace(one, clients=_via(one, (*_NODE_CLIENTS, *_NODE_PRODUCERS))) for one in _NODE_QUEUES),
)


def _go(name: str, server: str, *clients: str, entry: str = "", brokers: tuple[str, ...] = ()) -> Service:
    command = (str(_HERE / "go" / "dist" / "service"), server)
    return Service(name, command, clients, entry, "", brokers, "Go")


_GO_CLIENTS: Final = ("net-http", *_GRPC)

_GO_SERVERS: Final = (
    _go("net/http", "net/http", *_GO_CLIENTS),
    *(_go(f"grpc-go, {kind}", "grpc-go", *_GO_CLIENTS, entry=kind) for kind in _GRPC),
)

_GO_QUEUE: Final = _go("amqp091-go", "net/http", "amqp091", brokers=("RabbitMQ",))

GO: Final = (
    *_GO_SERVERS,
    *_to_queues(_GO_SERVERS, {("RabbitMQ",): ("amqp091",)}),
    replace(_GO_QUEUE, clients=_via(_GO_QUEUE, (*_GO_CLIENTS, "amqp091"))),
)

SECTIONS: Final = {
    "Python": (*_WITH_THREADS, *_WITH_COROUTINES),
    "Python, to queues": (
        *_to_queues(_WITH_THREADS, _SYNC_PRODUCERS),
        *_to_queues(_WITH_COROUTINES, _ASYNC_PRODUCERS),
    ),
    "Python, from queues": (
        *_to_clients(_QUEUES_WITH_THREADS, _SYNC),
        *_to_clients(_QUEUES_WITH_COROUTINES, _ASYNC),
    ),
    "Python, from queues to queues": (
        *_via_queues(_QUEUES_WITH_THREADS, _SYNC_PRODUCERS),
        *_via_queues(_QUEUES_WITH_COROUTINES, _ASYNC_PRODUCERS),
    ),
    "Go": GO,
    "TypeScript": TYPESCRIPT,
}
"""All rows, in the order of the table."""
