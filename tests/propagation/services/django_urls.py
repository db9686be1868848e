"""Django's views: of both kinds, which the way of serving decides about."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from propagation.services import async_clients, sync_clients


def ready(_: HttpRequest) -> HttpResponse:
    """Say that it serves."""
    return HttpResponse("ready")


def call(request: HttpRequest, client: str, number: str) -> HttpResponse:
    """Call on from a thread."""
    sync_clients.call(client, number)
    return HttpResponse(number)


async def call_async(request: HttpRequest, client: str, number: str) -> HttpResponse:
    """Call on from a coroutine."""
    await async_clients.call(client, number)
    return HttpResponse(number)


urlpatterns = [
    path("", ready),
    path("async <client>/<number>", call_async),
    path("<client>/<number>", call),
]
