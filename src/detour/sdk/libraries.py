"""The libraries that requests arrive by and continue by, and what carries overrides through each.

OpenTelemetry's own instrumentation carries baggage through most of them. Where it loses the baggage, or does not
exist, a module of `detour.sdk.mends` carries it.

Invariant: data only; nothing here imports a library.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Library:
    """A library that a service may use.

    Args:
        name: Its common name.
        module: A module whose import shows that the service uses the library.
        instrumentations: The names of OpenTelemetry's entry points (group `opentelemetry_instrumentor`).
        mend: The module of `detour.sdk.mends` that carries what they lose.
    """

    name: str
    module: str
    instrumentations: tuple[str, ...] = ()
    mend: str = ""


LIBRARIES: Final = (
    # Servers.
    Library("flask", "flask", ("flask",)),
    Library("flask", "flask.app", mend="wsgi"),
    Library("fastapi", "fastapi", ("fastapi",)),
    Library("starlette", "starlette.applications", ("starlette",), mend="asgi"),
    Library("django", "django.core.handlers.base", mend="django"),
    Library("django", "django.core.handlers.wsgi", mend="wsgi"),
    Library("django", "django.core.handlers.asgi", mend="asgi"),
    Library("bottle", "bottle", mend="wsgi"),
    Library("cherrypy", "cherrypy._cptree", mend="wsgi"),
    Library("falcon", "falcon.app", mend="wsgi"),
    Library("falcon", "falcon.asgi.app", mend="asgi"),
    Library("pyramid", "pyramid.router", mend="wsgi"),
    Library("litestar", "litestar.app", mend="asgi"),
    Library("quart", "quart.app", mend="asgi"),
    *(
        Library(module.partition(".")[0], module, mend="web_servers")
        for module in (
            "cheroot.wsgi",
            "daphne.server",
            "gevent.pywsgi",
            "granian.server.mp",
            "granian.server.mt",
            "gunicorn.asgi.protocol",
            "gunicorn.util",
            "gunicorn.workers.base_async",
            "gunicorn.workers.gthread",
            "gunicorn.workers.sync",
            "hypercorn.app_wrappers",
            "uvicorn.config",
            "uvicorn.protocols.http.h11_impl",
            "uvicorn.protocols.http.httptools_impl",
            "waitress.task",
            "werkzeug.serving",
            "wsgiref.handlers",
        )
    ),
    Library("wsgi", "opentelemetry.instrumentation.wsgi", mend="wsgi"),
    Library("asgi", "opentelemetry.instrumentation.asgi", mend="asgi"),
    Library("http.server", "http.server", mend="http_server"),
    Library("aiohttp-server", "aiohttp.web", ("aiohttp-server",)),
    Library("aiohttp-server", "aiohttp.web_protocol", mend="aiohttp_server"),
    Library("sanic", "sanic.touchup.service", mend="sanic"),
    Library("tornado", "tornado.web", ("tornado",), mend="tornado"),
    # Clients.
    *(
        Library("tornado", f"tornado.{module}", ("tornado",), mend="tornado")
        for module in ("curl_httpclient", "simple_httpclient", "websocket")
    ),
    Library("http.client", "http.client", mend="http_client"),
    Library("requests", "requests", ("requests",), mend="requests"),
    Library("httpx", "httpx", ("httpx",), mend="httpx"),
    Library("httpx2", "httpx2", mend="httpx"),
    Library("aiohttp-client", "aiohttp", ("aiohttp-client",), mend="aiohttp_client"),
    Library("urllib3", "urllib3", ("urllib3",), mend="urllib3"),
    Library("urllib", "urllib.request", ("urllib",)),
    Library("websockets", "websockets.client", mend="websockets"),
    # Both.
    Library("grpc", "grpc", ("grpc_client", "grpc_server", "grpc_aio_client", "grpc_aio_server"), mend="grpc"),
    # Queues.
    Library("celery", "celery", ("celery",), mend="celery"),
    Library("pika", "pika", ("pika",), mend="pika"),
    Library("aio-pika", "aio_pika", ("aio-pika",), mend="aio_pika"),
    Library("kafka-python", "kafka", ("kafka",), mend="kafka_python"),
    Library("aiokafka", "aiokafka", ("aiokafka",), mend="aiokafka"),
    Library("confluent-kafka", "confluent_kafka", ("confluent_kafka",), mend="confluent_kafka"),
    Library("boto3sqs", "boto3", ("boto3",), mend="sqs"),
    Library("rq", "rq", mend="rq"),
    Library("dramatiq", "dramatiq", mend="dramatiq"),
    # Work beside a request.
    Library("apscheduler", "apscheduler.schedulers.base", mend="apscheduler"),
    Library("threading", "threading", ("threading",), mend="threading"),
    Library("concurrent.futures", "concurrent.futures.thread", mend="executors"),
    Library("concurrent.futures", "concurrent.futures.process", mend="processes"),
    Library("multiprocessing", "multiprocessing.process", mend="processes"),
    Library("multiprocessing", "multiprocessing.pool", mend="processes"),
    Library("greenlet", "greenlet", mend="greenlets"),
    Library("gevent", "gevent", mend="gevent"),
)

UNKNOWN: Final = MappingProxyType(
    {
        # Servers and clients.
        "connectrpc": "connectrpc",
        "grpclib": "grpclib",
        "niquests": "niquests",
        "pycurl": "pycurl",
        "treq": "treq",
        "twisted.web.client": "Twisted's client",
        "twisted.web.server": "Twisted's server",
        "websocket": "websocket-client",
        # Queues.
        "arq": "arq",
        "azure.servicebus": "Azure Service Bus",
        "google.cloud.pubsub_v1": "Google Pub/Sub",
        "huey": "Huey",
        "nats": "NATS",
        "paho.mqtt.client": "Paho MQTT",
        "pulsar": "Pulsar",
        "stomp": "stomp.py",
        "taskiq": "taskiq",
    }
)
"""Libraries through which neither Detour nor OpenTelemetry carries overrides: module and common name."""
