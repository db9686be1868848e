"""Public generators make complete clients from the OpenAPI document, and the clients work with a real server."""

import json
import os
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.running import serving

ROOT = Path(__file__).parents[2]
GENERATORS = ROOT / "tests" / "generators"
PROGRAMS = GENERATORS / ".venv" / "bin"
MESH = """\
services:
  users: {endpoints: ["127.0.0.1:9001"]}
"""
SECONDS = 300

pytestmark = pytest.mark.more


def run(*command: str | Path, folder: Path) -> str:
    """Run a program until it succeeds, and return its output."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Install the generators, once."""
    done = subprocess.run(
        [ROOT / "setup" / "generators.sh"], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        pytest.skip(done.stderr.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server; return its URL."""
    mesh = tmp_path_factory.mktemp("served") / "mesh" / "mesh.yaml"
    mesh.parent.mkdir()
    mesh.write_text(MESH)
    with serving(mesh) as running:
        yield running.url


@pytest.fixture(scope="module")
def document(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the document that the server serves."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(httpx.get(f"{server}/openapi.json", trust_env=False).content)
    return path


def test_the_document_is_valid(document):
    """By the schema of OpenAPI 3.1, and by the stricter rules in its text."""
    run(PROGRAMS / "openapi-spec-validator", document, folder=document.parent)


def test_a_client_in_python(document, server):
    """openapi-python-client drops nothing, and its client registers and lists a deployment."""
    folder = document.parent
    said = run(
        PROGRAMS / "openapi-python-client",
        *("generate", "--path", document, "--output-path", folder / "generated", "--meta", "none"),
        folder=folder,
    )
    assert "warning" not in said.lower(), said
    described = json.loads(document.read_text())
    operations = [one for path in described["paths"].values() for one in path.values()]
    modules = [path for path in folder.glob("generated/api/*/*.py") if path.name != "__init__.py"]
    assert len(modules) == len(operations)
    program = textwrap.dedent(f"""
        from generated import Client
        from generated.api.deployments import list_deployments, register_deployment
        from generated.api.scenarios import get_scenario, save_scenario
        from generated.models import (
            DeploymentIn, Problem, ScenarioIn, ScenarioInOverrides, ScenarioState, ServiceListOut
        )
        from generated.api.services import list_services

        client = Client({server!r}, httpx_args={{"trust_env": False}})
        services = list_services.sync(client=client)
        assert isinstance(services, ServiceListOut) and services.items[0].name == "users", services
        wanted = DeploymentIn(service="users", name="pr-42", endpoints=["127.0.0.1:9002"])
        made = register_deployment.sync(client=client, body=wanted)
        assert list_deployments.sync(client=client).items == [made], made
        overrides = ScenarioInOverrides.from_dict({{"route.users": "pr-42"}})
        scenario = save_scenario.sync("checkout", client=client, body=ScenarioIn(overrides), if_none_match="*")
        assert scenario.overrides.to_dict() == {{"route.users": "pr-42"}}, scenario
        assert scenario.state is ScenarioState.LIVE
        missing = get_scenario.sync("nothing", client=client)
        assert isinstance(missing, Problem) and missing.status == 404, missing
    """)
    run(PROGRAMS / "python", "-c", program, folder=folder)


def test_a_client_in_typescript(document, server):
    """openapi-typescript describes every operation, and openapi-fetch calls the server with its types."""
    folder = document.parent
    (folder / "node_modules").symlink_to(GENERATORS / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    programs = GENERATORS / "node_modules" / ".bin"
    said = run(programs / "openapi-typescript", document, "-o", "detour.d.ts", folder=folder)
    assert "warn" not in said.lower(), said
    described = json.loads(document.read_text())
    written = (folder / "detour.d.ts").read_text()
    for path in described["paths"].values():
        for operation in path.values():
            assert f'operations["{operation["operationId"]}"]' in written
    (folder / "use.ts").write_text(
        textwrap.dedent("""
        import createClient from "openapi-fetch";
        import type { components, paths } from "./detour.js";

        declare const process: { argv: string[] };
        const client = createClient<paths>({ baseUrl: process.argv[2]! });
        const { data } = await client.GET("/v1/services", { params: { query: { limit: 10 } } });
        const names: string[] = data!.items.map((one) => one.name);
        const next: string | null | undefined = data!.next;
        const body = { overrides: { "route.users": "nothing" } };
        const checked = await client.POST("/v1/overrides/check", { body });
        const where = { params: { path: { name: "nothing" } } };
        const missing: components["schemas"]["Problem"] = (await client.GET("/v1/scenarios/{name}", where)).error!;
        console.log(JSON.stringify([names, next, checked.data!.mistakes[0]!.key, missing.status]));
    """)
    )
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "--outDir", "built"]
    run(programs / "tsc", *options, "use.ts", folder=folder)
    said = run("node", "built/use.js", server, folder=folder)
    assert json.loads(said.splitlines()[-1]) == [["users"], None, "route.users", 404]
