"""A real nginx in front of an edge: a proxy that ends TLS, or a shared cache."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

_FRAME = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  {servers}
}}
"""


@asynccontextmanager
async def running_nginx(folder: Path, servers: str, port: int) -> AsyncIterator[None]:
    """Run one in the foreground until the block ends.

    Args:
        folder: Where it keeps what it needs.
        servers: Its `server` blocks, and what stands beside them.
        port: One that it then listens on, on 127.0.0.1.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        pytest.skip("no nginx on this machine: apt-get install nginx-light")
    file = folder / "nginx.conf"
    file.write_text(_FRAME.format(folder=folder, servers=servers))
    errors = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program, "-p", str(folder), "-c", str(file), stderr=errors)
    try:
        await _listening(process, port)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            if process.returncode is not None:
                said = await process.stderr.read()
                raise AssertionError(f"nginx ended: {said.decode()}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return await writer.wait_closed()
