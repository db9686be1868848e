"""One instance of a demo service, as a process of its own.

    python -m detour.demo.instance --service users --name users-1 --port 8080

It serves on loopback, makes the calls that the topology gives its service, and answers with the call tree. It knows
nothing of overrides, sidecars or Detour: it is what any service instrumented with OpenTelemetry is.
"""

import argparse
import asyncio
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack

from detour.demo.call_tree import Answer, Answerer, Caller
from detour.demo.topology import ADDRESSES, CALLS, GRPC, Instance


def main() -> None:
    """Serve what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m detour.demo.instance")
    parser.add_argument("--service", required=True, choices=CALLS)
    parser.add_argument("--name", required=True, help="the instance's name, unique in the mesh")
    parser.add_argument("--port", required=True, type=int, help="where to serve, on loopback")
    parser.add_argument("--deployment", default="", help="the offloaded deployment that it is part of")
    given = parser.parse_args()
    asyncio.run(run(Instance(given.service, given.name, given.deployment), given.port))


async def run(instance: Instance, port: int) -> None:
    """Serve as `instance` until the process is told to end."""
    async with AsyncExitStack() as clients:
        callers = await _callers(CALLS[instance.service], clients)
        await _serve(instance, _answerer(instance, callers), port)


def _answerer(instance: Instance, callers: list[Caller]) -> Answerer:
    async def answer() -> Answer:
        calls = await asyncio.gather(*(call() for call in callers))
        return Answer(instance.service, instance.name, instance.deployment, tuple(calls))

    return answer


# What a service does not use is not imported: eight processes start on few cores, at 0.1 to 0.3 s for each library.


async def _serve(instance: Instance, answer: Answerer, port: int) -> None:
    if instance.service in GRPC:
        from detour.demo import grpc_service  # noqa: PLC0415

        await grpc_service.serve(answer, port)
    else:
        from detour.demo import http_service  # noqa: PLC0415

        await http_service.serve(instance.service, answer, port)


async def _callers(services: tuple[str, ...], clients: AsyncExitStack) -> list[Caller]:
    speak_grpc = GRPC.intersection(services)
    http = await _http_callers(set(services) - speak_grpc, clients)
    grpc = await _grpc_callers(speak_grpc, clients)
    return [{**http, **grpc}[service] for service in services]


async def _http_callers(services: AbstractSet[str], clients: AsyncExitStack) -> dict[str, Caller]:
    if not services:
        return {}
    from detour.demo import http_calls  # noqa: PLC0415

    client = await clients.enter_async_context(http_calls.client())
    return {to: http_calls.caller(client, to, ADDRESSES[to]) for to in services}


async def _grpc_callers(services: AbstractSet[str], clients: AsyncExitStack) -> dict[str, Caller]:
    if not services:
        return {}
    from detour.demo import grpc_service  # noqa: PLC0415

    channels = {to: grpc_service.channel(ADDRESSES[to]) for to in services}
    return {
        to: grpc_service.caller(await clients.enter_async_context(channel), to) for to, channel in channels.items()
    }


if __name__ == "__main__":
    main()
