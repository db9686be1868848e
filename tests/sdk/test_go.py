"""The SDK for Go: its own tests, where Go is."""

import asyncio
import os
import shutil
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from detour.mesh import OffloadedDeployment, Protocol, Service
from parts import grpc_instance, running_mesh
from propagation.toolchains import TOOLCHAINS

SDK = Path(__file__).parents[2] / "sdk" / "go"
SERVICE = Path(__file__).parents[1] / "propagation" / "go" / "dist" / "service"

pytestmark = [
    pytest.mark.more,
    pytest.mark.skipif(shutil.which("go") is None, reason="Go: no Go on this machine"),
]


def go(*arguments: str, module: Path) -> str:
    """Run Go's command in a module, and return what it printed."""
    ran = subprocess.run(["go", *arguments], cwd=module, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-4000:]
    return ran.stdout


@pytest.mark.parametrize("module", sorted(SDK.rglob("go.mod")), ids=lambda found: found.parent.name)
def test_its_own_tests_pass(module: Path) -> None:
    """And vet finds nothing, in each of its modules."""
    go("vet", "./...", module=module.parent)
    go("test", "-count=1", "./...", module=module.parent)  # vectors lie outside: no cache knows of them


def test_the_examples_of_the_readme_run() -> None:
    """They are lines of a test, in a module that has the libraries that they use; tests/docs compares them."""
    go("test", "./readme", module=SERVICE.parents[1])


def test_it_is_formatted() -> None:
    """As Go formats it."""
    ran = subprocess.run(["gofmt", "-l", str(SDK)], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == ""


@pytest.mark.parametrize("words", [["greeter=pr-7"], []], ids=["overridden", "not"])
async def test_grpc_goes_through_the_sidecar(tmp_path: Path, words: list[str]) -> None:
    """By `DialSidecar`: grpc-go ignores `http_proxy`, and the name is one that nobody resolves."""
    if missing := TOOLCHAINS["Go"].why_not():
        pytest.skip(missing)
    async with AsyncExitStack() as stack:
        greeter, changed = [
            await stack.enter_async_context(grpc_instance(name)) for name in ("greeter-1", "greeter-pr-7")
        ]
        services = [Service("greeter", (greeter,), Protocol.HTTP2)]
        deployments = [OffloadedDeployment("greeter", "pr-7", (changed,))]
        mesh = await stack.enter_async_context(running_mesh(tmp_path, services, deployments))
        sidecar = await mesh.sidecar()
        process = await asyncio.create_subprocess_exec(
            SERVICE,
            "dial",
            "passthrough:///greeter",
            *words,
            env={
                **os.environ,
                "DETOUR_SDK": "on",
                "http_proxy": f"http://127.0.0.1:{sidecar.port}",
                "no_proxy": "",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert printed.decode().strip() == ("greeter-pr-7:x" if words else "greeter-1:x")
