"""The OpenAPI document: schemathesis sends requests that it allows and forbids to a real server; its names."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.running import environment, serving

CONFIG = Path(__file__).with_name("schemathesis.toml")
MESH = """\
services:
  users: {endpoints: ["127.0.0.1:9001"]}
"""


@pytest.mark.parametrize(
    "examples", [pytest.param(10, id="some"), pytest.param(400, id="many", marks=pytest.mark.more)]
)
def test_the_api_is_as_documented(tmp_path, examples):
    """Every operation, with all checks of schemathesis, and sequences of operations."""
    mesh = tmp_path / "mesh" / "mesh.yaml"
    mesh.parent.mkdir()
    mesh.write_text(MESH)
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    with serving(mesh) as server:
        command = [program, "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json", "--checks", "all"]
        command += ["--max-examples", str(examples), "--generation-deterministic", "--no-color"]
        # How fast requests are generated says nothing about the API.
        command += ["--suppress-health-check", "too_slow"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=500
        )
    assert done.returncode == 0, done.stdout[:10_000]


def operations(described: dict) -> Iterator[tuple[str, dict]]:
    """Yield the operations of a document, each with its path."""
    for path, found in described["paths"].items():
        for operation in found.values():
            yield path, operation


async def test_names_for_generators(app):
    """Every operation has an id, a tag, and its own description; so has each parameter."""
    described = app.openapi()
    ids = [operation["operationId"] for _, operation in operations(described)]
    assert len(set(ids)) == len(ids) > 30
    assert {one for one in ids if not re.fullmatch("[a-z]+([A-Z][a-z]+)*", one)} == set()
    assert {"listServices", "registerDeployment", "saveScenario", "streamEvents", "getIdentity"} <= set(ids)
    tags = {one["name"] for one in described["tags"]}
    for path, operation in operations(described):
        assert len(operation["tags"]) == 1, path
        assert set(operation["tags"]) <= tags, path
        assert operation["description"], path
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (path, parameter["name"])


async def test_schemas_for_generators(app):
    """The document contains every schema once, under its own name, and every response refers to it."""
    described = app.openapi()
    schemas = described["components"]["schemas"]
    assert {name for name, schema in schemas.items() if schema.get("title") != name} == set()
    assert {"Problem", "ScenarioState", "ProgressState", "Role", "SignInMethod", "SwitchState"} <= set(schemas)
    assert {name for name in schemas if "__" in name or "HTTPValidation" in name} == set()
    for path, operation in operations(described):
        for code, response in operation["responses"].items():
            content = response.get("content", {})
            if code >= "400":
                assert content == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }, path
            elif "application/json" in content:
                assert content["application/json"]["schema"].keys() == {"$ref"}, path


async def test_lists_are_objects(app):
    """With the items and the next cursor, never an array."""
    described = app.openapi()
    lists = [one for _, one in operations(described) if one["operationId"].startswith("list")]
    assert len(lists) == 7
    for operation in lists:
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        listed = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert listed["properties"].keys() == {"items", "next"}
        cursors = [one["schema"]["type"] for one in operation.get("parameters", ()) if one["name"] == "cursor"]
        assert set(cursors) <= {"string"}


async def test_mappings_for_generators(app):
    """Generators ignore patterns of keys, so every mapping also declares the type of its values."""
    described = app.openapi()

    def mappings(found: object) -> Iterator[dict]:
        if isinstance(found, dict):
            if "patternProperties" in found:
                yield found
            found = list(found.values())
        if isinstance(found, list):
            for one in found:
                yield from mappings(one)

    found = list(mappings(described))
    assert len(found) == 5
    assert [one for one in found if one["additionalProperties"] != {"type": "string"}] == []


async def test_the_document_is_printable_ascii(app):
    """YAML readers refuse control characters (YAML 1.2, section 5.1)."""
    texts = json.dumps(app.openapi(), ensure_ascii=False)
    assert re.findall(r"[^ -~]", texts) == []
