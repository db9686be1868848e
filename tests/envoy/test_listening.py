"""Closing a listener: connections that the kernel has completed are accepted first, and no more begin."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from detour.envoy.listening import drop_beginnings, listening, take_no_more, waiting
from ports import free_port

ACCEPTING_WHEN_ASKED = """
import socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listens", flush=True)
for _ in sys.stdin:
    listening.accept()[0].sendall(b"accepted")
"""


@pytest.fixture
def port() -> int:
    """Return where the process listens."""
    return free_port()


@pytest.fixture
def process(port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process that accepts one connection for each line that it gets."""
    command = [sys.executable, "-c", ACCEPTING_WHEN_ASKED, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stdout.readline() == b"listens\n"
        yield started
        started.kill()


def connects(port: int) -> bool:
    """Say whether the kernel completes a connection."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.3).close()
    except TimeoutError:
        return False
    return True


async def test_what_waits_is_accepted_and_nothing_more_comes(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Neither reset nor refused: the kernel drops the first packet, which its client sends again later."""
    assert process.stdin
    with socket.create_connection(("127.0.0.1", port)) as before, listening(process.pid) as (listener,):
        assert waiting(listener) == 1
        closing = asyncio.create_task(take_no_more(process.pid, 20))
        while await asyncio.to_thread(connects, port):
            pass
        assert not closing.done()
        for _ in range(waiting(listener)):
            process.stdin.write(b"accept\n")
        process.stdin.flush()
        await closing
        assert waiting(listener) == 0
        assert before.recv(8) == b"accepted"


async def test_it_waits_no_longer_than_it_may(port: int, process: "subprocess.Popen[bytes]") -> None:
    """For a process that never accepts."""
    with socket.create_connection(("127.0.0.1", port)):
        await take_no_more(process.pid, 0.1)


async def test_a_process_that_is_gone_or_not_ours_is_no_error() -> None:
    """Then nothing can be done, and listeners are closed as they are."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    await take_no_more(gone.pid, 20)


def test_a_kernel_that_permits_no_filter_changes_nothing() -> None:
    """A server without root ends as usual there. A locked socket has the kernel refuse, too (SO_LOCK_FILTER)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, 44, 1)
        assert not drop_beginnings(listener)
        with socket.create_connection(listener.getsockname(), timeout=10):
            listener.accept()[0].close()
