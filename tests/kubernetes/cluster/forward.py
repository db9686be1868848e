"""`kubectl port-forward`, for a kubelet that has none: a port of this machine that leads to one inside a pod.

    python -m kubernetes.cluster.forward PID PORT      prints the port, and ends with its parent

It listens here, and connects from inside the pod's network namespace, to loopback, as a container runtime does.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kubernetes.cluster.runtime.linux import join

_CLONE_NEWNET = 0x40000000
_TESTS = Path(__file__).parents[2]


@contextmanager
def forwarded(pid: int, port: int) -> Iterator[str]:
    """Lead to a port inside the pod that a process belongs to; give the address here."""
    command = [sys.executable, "-m", "kubernetes.cluster.forward", str(pid), str(port)]
    with subprocess.Popen(command, cwd=_TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


async def _serve(pid: int, port: int) -> None:
    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        except OSError:
            writer.close()

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    join(f"/proc/{pid}/ns/net", _CLONE_NEWNET)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
