"""The scripted rolling restart, as a process that begins on command."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import yaml

from bench.kubernetes.cluster import NAMESPACE
from bench.kubernetes.population import Restart
from detour.envoy.runner import tied_to_parent

_ROOT: Final = Path(__file__).parents[2]


class Script:
    """A running `bench.kubernetes.scripted`.

    Args:
        process: The process.
        kubeconfig: The configuration with which a server connects to it.
        result: The file to which it writes what it has sent.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", kubeconfig: Path, result: Path) -> None:
        self.kubeconfig = kubeconfig
        self._process = process
        self._result = result

    @staticmethod
    @asynccontextmanager
    async def running(folder: Path, examples: Path, services: int, per_second: float) -> "AsyncIterator[Script]":
        """Start it, with everything there that is to be restarted; end it with the context."""
        result = folder / "script.json"
        arguments = [str(examples), str(services), str(per_second), str(result)]
        command = [sys.executable, "-m", "bench.kubernetes.scripted", *arguments]
        process = _started(command)
        script = Script(process, folder / "script.kubeconfig", result)
        try:
            port = (await script._line()).split()[-1]
            script.kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{port}"), encoding="utf-8")
            yield script
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def restart(self) -> tuple[Restart, dict[str, frozenset[str]]]:
        """Restart all pods; return what was sent, and the endpoints of each service."""
        if self._process.stdin:
            self._process.stdin.write(b"begin\n")
            self._process.stdin.flush()
        await self._line()
        result = json.loads(self._result.read_text(encoding="utf-8"))
        endpoints = {name: frozenset(found) for name, found in result.pop("endpoints").items()}
        return Restart(**result), endpoints

    async def _line(self) -> str:
        line = await asyncio.to_thread(self._process.stdout.readline) if self._process.stdout else b""
        if not line:
            raise RuntimeError("the scripted API server has ended")
        return line.decode()


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(tied_to_parent(command), cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _kubeconfig(server: str) -> str:
    context = {"cluster": "script", "user": "bench", "namespace": NAMESPACE}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "script",
            "clusters": [{"name": "script", "cluster": {"server": server}}],
            "users": [{"name": "bench", "user": {"token": "script"}}],
            "contexts": [{"name": "script", "context": context}],
        }
    )
