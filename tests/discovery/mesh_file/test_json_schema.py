"""The JSON Schema of mesh files, against the parser: what the parser accepts, editors accept."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import jsonschema_rs
import pytest
import yaml
from pydantic import BaseModel

from detour.discovery.mesh_file.json_schema import document
from detour.discovery.mesh_file.mistakes import MeshFileError
from detour.discovery.mesh_file.reading import parse
from detour.discovery.mesh_file.schema import Deployment, Edge, File, Retries, Service

ROOT = Path(__file__).parents[3]
WRITTEN = ROOT / "docs/mesh.schema.json"
SCHEMA = jsonschema_rs.validator_for(document())

# Every key that there is, in each form that it may have.
ACCEPTED = [
    "services:",
    "services: {}\nedge:",
    "services: {users: {endpoints: []}}",
    'services: {users: {endpoints: ["127.0.0.1:1", "[::1]:65535", "localhost:80"], protocol: http1}}',
    "services: {users: {endpoints: [], protocol: http2, timeout: 250ms, retries: 3}}",
    "services: {users: {endpoints: [], protocol: tcp, timeout: 5s, deployments: }}",
    "services: {users: {endpoints: [], retries: {attempts: 10}}}",
    "services: {users: {endpoints: [], retries: {attempts: 1, on: [5xx, refused-stream]}}}",
    'services: {users: {endpoints: [], retries: {attempts: "1"}}}',
    "services: {users: {endpoints: [], deployments: {pr-42: {endpoints: [127.0.0.1:9], owner: ana}}}}",
    "services: {users: {endpoints: [], deployments: {A.b: {endpoints: [], owner: 42}}}}",
    'services: {a: {endpoints: [], deployments: {b: {endpoints: [], expires: "2030-01-01T00:00:00Z"}}}}',
    "services: {}\ncarriers: [baggage, x-ot-span-context]",
    "services: {web: {endpoints: []}}\nedge: {hosts: {'*': web, '*.example.test': web, a.example.test: web}}",
    "services: {web: {endpoints: []}}\nedge: {hosts: , previews: {preview.example.test: web}, badge: true}",
    "services: {}\nedge: {url: 'https://staging.example.test:8443/', badge: 'false', parameter: try}",
    "services: {}\nedge: {cookie_domain: example.test, trusted_proxies: [10.0.0.0/8], previews: }",
    "services: {}\nedge: {trusted_proxies: 1}",
]
REFUSED = [
    "{}",
    "services: []",
    "services: {}\nservice: {}",
    "services: {users: {}}",
    "services: {users: {endpoints: 127.0.0.1:80}}",
    "services: {users: {endpoints: [127.0.0.1]}}",
    "services: {Users: {endpoints: []}}",
    "services: {users: {endpoints: [], protocol: http3}}",
    "services: {users: {endpoints: [], timeout: 5}}",
    "services: {users: {endpoints: [], retries: 11}}",
    "services: {users: {endpoints: [], retries: {attempts: 1, on: [sometimes]}}}",
    "services: {users: {endpoints: [], deployments: {pr 42: {endpoints: []}}}}",
    "services: {users: {endpoints: [], deployments: {pr-42: {endpoints: [], ovner: ana}}}}",
    "services: {}\ncarriers: [cookie]",
    "services: {}\nedge: {hosts: {'*': Web}}",
    "services: {}\nedge: {url: staging.example.test}",
    "services: {}\nedge: {badge: perhaps}",
]


class _AsEditors(yaml.SafeLoader):
    """YAML as editors read it, by version 1.2: a date is text, and so is `on`."""

    yaml_implicit_resolvers: ClassVar = {
        letter: [(tag, found) for tag, found in resolvers if tag.endswith((":null", ":int", ":float"))]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_AsEditors.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


def as_editors(text: str) -> Any:
    """Return what an editor makes of a text."""
    return yaml.load(text, _AsEditors)


def is_accepted(text: str) -> bool:
    """Say whether the parser accepts a mesh file."""
    try:
        parse(text.encode(), Path("mesh.yaml"))
    except MeshFileError:
        return False
    return True


def examples() -> Iterator[Path]:
    """Yield the mesh files that people may copy."""
    yield from (ROOT / "examples").rglob("mesh.yaml")


def test_the_schema_is_written_down() -> None:
    """`UPDATE_GOLDEN=1` writes it anew."""
    expected = json.dumps(document(), indent=2) + "\n"
    if "UPDATE_GOLDEN" in os.environ:
        WRITTEN.write_text(expected, encoding="utf-8")
    assert WRITTEN.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("text", ACCEPTED)
def test_editors_accept_what_the_parser_accepts(text: str) -> None:
    """Whichever way it is written."""
    assert is_accepted(text)
    assert [str(one) for one in SCHEMA.iter_errors(as_editors(text))] == []


@pytest.mark.parametrize("text", REFUSED)
def test_editors_mark_what_the_parser_refuses(text: str) -> None:
    """Mistakes in keys, types, names and words."""
    assert not is_accepted(text)
    assert not SCHEMA.is_valid(as_editors(text))


def test_each_key_is_there_with_a_description_and_among_the_examples_above() -> None:
    """A new key of the parser is one of the schema, and is tried."""
    for model in (File, Service, Deployment, Retries, Edge):
        made = _definition(model)
        assert set(made["properties"]) == set(model.model_fields)
        assert all(value["description"] for value in made["properties"].values())
        for key in model.model_fields:
            assert any(re.search(rf"\b{key}:", text) for text in ACCEPTED), key


def _definition(model: type[BaseModel]) -> dict[str, Any]:
    made = document()
    return made if model is File else made["$defs"][model.__name__]


def test_the_mesh_files_of_examples_and_of_the_readme_are_accepted() -> None:
    """By editors and by the parser alike."""
    (readme,) = re.findall(r"```yaml\n(# mesh\.yaml\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    texts = [readme, *(path.read_text() for path in examples())]
    for text in texts:
        assert is_accepted(text)
        assert [str(one) for one in SCHEMA.iter_errors(as_editors(text))] == []
