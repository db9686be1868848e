"""gRPC servers with OpenTelemetry's interceptors: what these have read of a call stays."""

import subprocess
import sys

import pytest

START = """
import asyncio, grpc, grpc.aio
from concurrent.futures import ThreadPoolExecutor
import detour.sdk
detour.sdk.install()
from opentelemetry import baggage, context, propagate, trace
seen = []
def handle(request, _):
    seen.append((dict(baggage.get_all()), trace.get_current_span().get_span_context().trace_id))
    return b""
async def handle_async(request, called):
    return handle(request, called)
def handlers(function):
    method = grpc.unary_unary_rpc_method_handler(function)
    return (grpc.method_handlers_generic_handler("test.Echo", {"Unary": method}),)
SENT = (("baggage", "tenant=blue,override.route.users=pr-42"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
def call(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        channel.unary_unary("/test.Echo/Unary")(b"", metadata=SENT)
"""
THREADS = """
server = grpc.server(ThreadPoolExecutor(1), handlers(handle))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
call(port)
server.stop(0)
print(seen)
"""
ASYNCIO = """
async def main():
    server = grpc.aio.server(handlers=handlers(handle_async))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await asyncio.to_thread(call, port)
    await server.stop(0)
asyncio.run(main())
print(seen)
"""


@pytest.mark.parametrize("program", [THREADS, ASYNCIO], ids=["threads", "asyncio"])
def test_a_call_keeps_its_trace_and_other_peoples_baggage(program: str) -> None:
    """Beside its overrides."""
    command = [sys.executable, "-c", START + program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    trace_id = int("4bf92f3577b34da6a3ce929d0e0e4736", 16)
    assert done.stdout.strip() == str([({"tenant": "blue", "override.route.users": "pr-42"}, trace_id)])
