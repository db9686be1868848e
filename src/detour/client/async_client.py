"""The client for asynchronous programs: the same operations as the blocking one."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Self, TypeVar

import httpx

from detour.client import operations
from detour.client.answers import arguments_of, expect_success, read, unreachable
from detour.client.authorization import TokenSource, kept_token
from detour.client.connection import TIMEOUT_SECONDS, ConnectionSettings
from detour.client.errors import UnreachableError
from detour.client.events import PAUSE_SECONDS, SILENCE_SECONDS, Event, Streaming
from detour.client.operations import Listing, Operation
from detour.client.retrying import Retries
from detour.client.server_address import DEFAULT_SERVER, server_of_environment
from detour.contract import Page

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Item = TypeVar("Item")


class _Call(Generic[Parameters, Result]):
    """A method that sends an operation and returns its result."""

    def __init__(self, made: Callable[Parameters, Operation[Result]]) -> None:
        self._made = made

    def __get__(self, client: "AsyncClient", _owner: type | None = None) -> Callable[Parameters, Awaitable[Result]]:
        def call(*arguments: Parameters.args, **named: Parameters.kwargs) -> Awaitable[Result]:
            return client.send(self._made(*arguments, **named))

        return update_wrapper(call, self._made)


class _List(Generic[Parameters, Item]):
    """A method that iterates over a list, and fetches each page when the iteration reaches it."""

    def __init__(self, made: Callable[Parameters, Listing[Item]]) -> None:
        self._made = made

    def __get__(
        self, client: "AsyncClient", _owner: type | None = None
    ) -> Callable[Parameters, AsyncIterator[Item]]:
        def call(*arguments: Parameters.args, **named: Parameters.kwargs) -> AsyncIterator[Item]:
            return client.items(self._made(*arguments, **named))

        return update_wrapper(call, self._made)


class AsyncClient:
    """A connection to a server; a context manager that closes it at the end.

    Args:
        server: The URL of the server.
        token: An API token or an issuer's token; or a function that returns one, called before each request.
        user: The caller's name, for a server on the same machine without sign-in.
        timeout_seconds: How long to wait for a connection, and for each part of an answer.
        retries: How often to retry safe requests.

    Raises:
        ValueError: `server` is not a URL.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        token: str | TokenSource | None = None,
        user: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
        retries: Retries = Retries(),  # noqa: B008  it never changes
    ) -> None:
        self.server = server
        self._retries = retries
        self._timeout_seconds = timeout_seconds
        settings = ConnectionSettings(server, token, user, timeout_seconds)
        self._http = httpx.AsyncClient(**settings.arguments())

    @classmethod
    def from_environment(cls, server: str = "", **settings: Any) -> Self:
        """Connect like the command line: to DETOUR_SERVER, with DETOUR_TOKEN or the token of `detour login`."""
        address = server or server_of_environment()
        return cls(address, token=kept_token(address), **settings)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._http.aclose()

    get_health = _Call(operations.get_health)
    get_readiness = _Call(operations.get_readiness)
    get_status = _Call(operations.get_status)
    get_metrics = _Call(operations.get_metrics)
    list_services = _List(operations.list_services)
    list_deployments = _List(operations.list_deployments)
    get_deployment = _Call(operations.get_deployment)
    register_deployment = _Call(operations.register_deployment)
    extend_deployment = _Call(operations.extend_deployment)
    remove_deployment = _Call(operations.remove_deployment)
    create_copy = _Call(operations.create_copy)
    undo_copy = _Call(operations.undo_copy)
    list_scenarios = _List(operations.list_scenarios)
    get_scenario = _Call(operations.get_scenario)
    list_scenario_versions = _List(operations.list_scenario_versions)
    get_scenario_version = _Call(operations.get_scenario_version)
    resolve_scenario = _Call(operations.resolve_scenario)
    get_scenario_qr = _Call(operations.get_scenario_qr)
    save_scenario = _Call(operations.save_scenario)
    remove_scenario = _Call(operations.remove_scenario)
    check_overrides = _Call(operations.check_overrides)
    issue_override_token = _Call(operations.issue_override_token)
    get_switch = _Call(operations.get_switch)
    set_switch = _Call(operations.set_switch)
    list_calls = _List(operations.list_calls)
    try_request = _Call(operations.try_request)
    list_changes = _List(operations.list_changes)
    get_identity = _Call(operations.get_identity)
    get_sign_in = _Call(operations.get_sign_in)
    list_tokens = _List(operations.list_tokens)
    create_token = _Call(operations.create_token)
    remove_token = _Call(operations.remove_token)

    async def send(self, operation: Operation[Result]) -> Result:
        """Send an operation, retry it if it is safe, and return its result.

        Raises:
            ClientError: It failed; a `ProblemError` if the server refused it.
        """
        return read(operation, self.server, await self._answer(operation))

    async def items(self, listing: Listing[Item]) -> AsyncIterator[Item]:
        """Iterate over a list, a page at a time.

        Raises:
            ClientError: A page could not be fetched.
        """
        following: Operation[Page[Item]] | None = listing.first
        while following is not None:
            page = await self.send(following)
            for one in page.items:
                yield one
            following = listing.after(page)

    async def get_deployment_log(
        self, service: str, name: str, *, tail: int = 100, follow: bool = False
    ) -> AsyncIterator[str]:
        """Iterate over the log lines of a copy's newest pod; with `follow`, also over new lines.

        Raises:
            ClientError: The log could not be read.
        """
        operation = operations.get_deployment_log(service, name, tail=tail, follow=follow)
        async with self._stream(operation, silence_seconds=None) as lines:
            async for line in lines:
                yield line

    async def stream_events(self, *kinds: str, seconds: int | None = None) -> AsyncIterator[Event]:
        """Iterate over live events of these kinds, or of all.

        Each connection begins with an event of the kind `CONNECTED`: fetch your data again then, because it may
        have changed. The client reconnects when it loses its connection.

        Args:
            kinds: `EventKind`s.
            seconds: End after this time; by default the iteration never ends.

        Raises:
            ClientError: The server refused, or has not answered for `RECONNECTING_SECONDS`.
        """
        streaming = Streaming(time.monotonic(), seconds)
        while (left := streaming.left(time.monotonic())) != 0:
            operation = operations.stream_events(*kinds, seconds=left)
            try:
                async with self._stream(operation, silence_seconds=SILENCE_SECONDS) as lines:
                    yield streaming.connected()
                    async for line in lines:
                        for event in streaming.take(line):
                            yield event
            except UnreachableError:
                if streaming.is_lost(time.monotonic()):
                    raise
            if streaming.left(time.monotonic()) != 0:
                await asyncio.sleep(PAUSE_SECONDS)

    @asynccontextmanager
    async def _stream(
        self, operation: Operation[str], *, silence_seconds: float | None
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Yield the lines of a response as they arrive."""
        waiting = httpx.Timeout(self._timeout_seconds, read=silence_seconds)
        response = await self._answer(operation, is_stream=True, waiting=waiting)
        try:
            if not response.is_success:
                await response.aread()
            expect_success(operation, self.server, response)
            yield response.aiter_lines()
        except httpx.RequestError as error:
            raise unreachable(self.server, error) from error
        finally:
            await response.aclose()

    async def _answer(
        self, operation: Operation[Any], *, is_stream: bool = False, waiting: httpx.Timeout | None = None
    ) -> httpx.Response:
        """Send an operation, and retry it as `Retries` allow; return the last response, or raise its failure."""
        auth = None if operation.is_open else self._http.auth
        sent = 0
        while True:
            sent += 1
            request = self._http.build_request(**arguments_of(operation, waiting))
            try:
                response = await self._http.send(request, stream=is_stream, auth=auth)
            except httpx.RequestError as error:
                failure = unreachable(self.server, error)
                pause = self._retries.after_failure(operation, sent, failure)
                if pause is None:
                    raise failure from error
            else:
                pause = self._retries.after_answer(operation, sent, response)
                if pause is None:
                    return response
                await response.aclose()
            await asyncio.sleep(pause)
