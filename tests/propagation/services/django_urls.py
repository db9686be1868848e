"""Django's views: of both kinds, which the way of serving decides about."""

import threading
from collections.abc import Callable
from typing import Any

from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path

from propagation.services import async_clients, late, sync_clients


def ready(_: HttpRequest) -> HttpResponse:
    """Say that it serves."""
    return HttpResponse("ready")


def call(request: HttpRequest, client: str, number: str) -> HttpResponseBase:
    """Call on from a thread: at once, or late."""
    way, client = late.split(client)
    if way == "lazy body":
        return StreamingHttpResponse(late.body(client, number))
    response = HttpResponse(number)
    if way == "closer":
        response._resource_closers.append(lambda: sync_clients.call(client, number))
    elif way == "request_finished":
        _when_finished(lambda: sync_clients.call(client, number), response)
    elif way == "outliving":
        late.outlive(client, number)
    else:
        sync_clients.call(client, number)
    return response


async def call_async(request: HttpRequest, client: str, number: str) -> HttpResponseBase:
    """Call on from a coroutine: at once, or late."""
    way, client = late.split(client)
    if way == "lazy body":
        return StreamingHttpResponse(late.async_body(client, number))
    if way == "outliving":
        late.outlive_async(client, number)
    else:
        await async_clients.call(client, number)
    return HttpResponse(number)


def _when_finished(call: Callable[[], None], response: HttpResponse) -> None:
    """Have a function called by the signal of this request's end, which names no request."""
    response._resource_closers.append(lambda: setattr(_finishing, "call", call))


_finishing = threading.local()
"""A response is closed, and the signal sent, by one and the same thread."""


def _finished(**_: Any) -> None:
    if call := _finishing.__dict__.pop("call", None):
        call()


request_finished.connect(_finished)


urlpatterns = [
    path("", ready),
    path("async <client>/<number>", call_async),
    path("<client>/<number>", call),
]
