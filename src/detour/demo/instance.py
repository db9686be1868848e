"""One instance of a demo service, as a process of its own.

    python -m detour.demo.instance --service users --name users-1 --port 8080 --call rides=http://rides/rides

It listens on loopback, makes the calls that its arguments name, and returns the call tree. It does not know about
overrides or sidecars: with one line, `detour.sdk.install()`, OpenTelemetry and Detour's SDK propagate the baggage.
"""

import argparse
import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

import detour.sdk
from detour.demo.call_tree import Answer, Answerer, Caller
from detour.demo.topology import GRPC, QUEUE, Instance


def main() -> None:
    """Run the instance that the arguments describe."""
    detour.sdk.install()
    parser = argparse.ArgumentParser(prog="python -m detour.demo.instance")
    parser.add_argument("--service", required=True)
    parser.add_argument("--name", required=True, help="the instance's name, unique in the mesh")
    parser.add_argument("--port", required=True, type=int, help="the port to listen on, on loopback")
    parser.add_argument("--deployment", default="", help="the offloaded deployment of the instance")
    parser.add_argument("--speaks", default="http", choices=["http", GRPC, QUEUE], help="the protocol it serves")
    parser.add_argument(
        "--call", action="append", default=[], metavar="SERVICE=ADDRESS", help="a service to call; repeatable"
    )
    given = parser.parse_args()
    calls = dict(call.split("=", 1) for call in given.call)
    asyncio.run(run(Instance(given.service, given.name, given.deployment), given.port, given.speaks, calls))


async def run(instance: Instance, port: int, speaks: str, calls: Mapping[str, str]) -> None:
    """Serve as `instance` until SIGTERM or SIGINT.

    Args:
        instance: The instance.
        port: The port to listen on, on loopback.
        speaks: `http`, `grpc` or `queue`.
        calls: The services to call, in order, with the address of each.
    """
    async with AsyncExitStack() as clients:
        callers = [await _caller(to, address, clients) for to, address in calls.items()]
        await _serve(instance, _answerer(instance, callers), port, speaks)


def _answerer(instance: Instance, callers: list[Caller]) -> Answerer:
    async def answer() -> Answer:
        calls = await asyncio.gather(*(call() for call in callers))
        return Answer(instance.service, instance.name, instance.deployment, tuple(calls))

    return answer


# Import only what the service uses: ten processes start on few cores, and each library takes 0.1 to 0.3 s.


async def _serve(instance: Instance, answer: Answerer, port: int, speaks: str) -> None:
    if speaks == GRPC:
        from detour.demo import grpc_service  # noqa: PLC0415

        await grpc_service.serve(answer, port)
    elif speaks == QUEUE:
        from detour.demo import queue_service  # noqa: PLC0415

        await queue_service.serve(instance.service, answer, port)
    else:
        from detour.demo import http_service  # noqa: PLC0415

        await http_service.serve(instance.service, answer, port)


async def _caller(to: str, address: str, clients: AsyncExitStack) -> Caller:
    scheme, _, target = address.partition("://")
    if scheme == GRPC:
        from detour.demo import grpc_service  # noqa: PLC0415

        return grpc_service.caller(await clients.enter_async_context(grpc_service.channel(target)), to)
    if scheme == QUEUE:
        from detour.demo import queue_service  # noqa: PLC0415

        return queue_service.caller(to)
    from detour.demo import http_calls  # noqa: PLC0415

    return http_calls.caller(await clients.enter_async_context(http_calls.client()), to, address)


if __name__ == "__main__":
    main()
