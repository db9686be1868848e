"""The libraries that requests come in by and go on by, and what carries overrides through each of them.

OpenTelemetry's own instrumentation carries the baggage through most; where it loses it, or where there is none, one
of the mends in `detour.sdk.mends` does.

Invariant: data only; nothing here imports a library.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Library:
    """A library that a service may use.

    Args:
        name: What people call it; where it has instrumentation, the end of `opentelemetry-instrumentation-...` too.
        module: Importing this means that the service uses it.
        instrumentations: The names of OpenTelemetry's entry points (group `opentelemetry_instrumentor`).
        mend: The module of `detour.sdk.mends` that mends what they lose.
        matters: Whether to say that overrides are lost where the instrumentation is not installed.
    """

    name: str
    module: str
    instrumentations: tuple[str, ...] = ()
    mend: str = ""
    matters: bool = True

    @property
    def package(self) -> str:
        """The package that brings the instrumentation."""
        return f"opentelemetry-instrumentation-{self.name}"


LIBRARIES: Final = (
    # Servers.
    Library("flask", "flask", ("flask",)),
    Library("flask", "flask.app", mend="wsgi"),
    Library("fastapi", "fastapi", ("fastapi",)),
    Library(
        "starlette", "starlette.applications", ("starlette",), matters=False
    ),  # FastAPI imports it, and has its own
    Library("starlette", "starlette.applications", mend="asgi"),
    Library("django", "django.core.handlers.base", mend="django"),
    Library("django", "django.core.handlers.wsgi", mend="wsgi"),
    Library("django", "django.core.handlers.asgi", mend="asgi"),
    Library("bottle", "bottle", mend="wsgi"),
    Library("falcon", "falcon.app", mend="wsgi"),
    Library("falcon", "falcon.asgi.app", mend="asgi"),
    Library("pyramid", "pyramid.router", mend="wsgi"),
    Library("litestar", "litestar.app", mend="asgi"),
    Library("quart", "quart.app", mend="asgi"),
    Library("wsgi", "opentelemetry.instrumentation.wsgi", mend="wsgi"),
    Library("asgi", "opentelemetry.instrumentation.asgi", mend="asgi"),
    Library("aiohttp-server", "aiohttp.web_app", ("aiohttp-server",), mend="aiohttp_server"),
    # Clients.
    Library("requests", "requests", ("requests",)),
    Library("httpx", "httpx", ("httpx",)),
    Library("aiohttp-client", "aiohttp", ("aiohttp-client",)),
    Library("urllib3", "urllib3", ("urllib3",), matters=False),  # other clients are made of it
    Library("urllib", "urllib.request", ("urllib",), matters=False),  # the standard library imports it itself
    # Both.
    Library("grpc", "grpc", ("grpc_client", "grpc_server", "grpc_aio_client", "grpc_aio_server"), mend="grpc"),
    # Queues.
    Library("celery", "celery", ("celery",)),
    Library("pika", "pika", ("pika",), mend="pika"),
    Library("aio-pika", "aio_pika", ("aio-pika",), mend="aio_pika"),
    Library("kafka-python", "kafka", ("kafka",), mend="kafka_python"),
    Library("aiokafka", "aiokafka", ("aiokafka",), mend="aiokafka"),
    Library("confluent-kafka", "confluent_kafka", ("confluent_kafka",), mend="confluent_kafka"),
    Library("boto3sqs", "boto3", ("boto3",), mend="sqs"),
    Library("rq", "rq", mend="rq"),
    Library("dramatiq", "dramatiq", mend="dramatiq"),
    # What runs beside a request.
    Library("threading", "threading", ("threading",), mend="threading"),
    Library("greenlet", "greenlet", mend="greenlets"),
    Library("gevent", "gevent", mend="gevent"),
)
