"""The reference of the HTTP API, made of a server's OpenAPI document: a page for each tag, and the schemas."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from detour.offload.registry import Registry
from detour.server import ControlPlane
from detour.server.api import api
from detour.server.sources import Registered

SCHEMAS = "schemas"
"""The page of the schemas that all operations share."""

_Json = Mapping[str, Any]


def document() -> dict[str, Any]:
    """Return the document that every server has at `/openapi.json`.

    A process of its own makes it: gRPC's threads complain when the one that they are in ends.
    """
    done = subprocess.run([sys.executable, __file__], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


async def _described() -> dict[str, Any]:
    with Registry(Path(":memory:")) as registry:
        registered = Registered(registry)
        return api(ControlPlane([registered], registered)).openapi()


def pages(described: _Json) -> dict[str, str]:
    """Return the Markdown of each page, by its name."""
    made = {tag["name"]: "\n".join(_tag(tag, described)) for tag in described["tags"]}
    return {**made, SCHEMAS: "\n".join(_schemas(described["components"]["schemas"]))}


def _tag(tag: _Json, described: _Json) -> Iterator[str]:
    yield from (f"# {tag['name'].capitalize()}", "", tag["description"], "")
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if tag["name"] in operation["tags"]:
                yield from _operation(method.upper(), path, operation)


def _operation(method: str, path: str, operation: _Json) -> Iterator[str]:
    yield from (f"## {operation['operationId']}", "", "```http", f"{method} {path}", "```", "")
    yield from (_escaped(operation["description"]), "")
    if "security" not in operation:
        yield from ("Needs no token.", "")
    yield from _parameters(operation.get("parameters", ()))
    if body := operation.get("requestBody"):
        yield from (f"Body: {_content(body['content'])}", "")
    yield from ("| status | answer |", "|---|---|")
    for code, answer in sorted(operation["responses"].items()):
        yield f"| {code} {HTTPStatus(int(code)).phrase} | {_answer(answer)} |"
    yield ""


def _parameters(parameters: Any) -> Iterator[str]:
    if not parameters:
        return
    yield from ("| parameter | in | type | |", "|---|---|---|---|")
    for one in parameters:
        name = f"`{one['name']}`{' (required)' if one.get('required') else ''}"
        yield f"| {name} | {one['in']} | {_type(one['schema'])} | {_cell(one.get('description', ''))} |"
    yield ""


def _answer(answer: _Json) -> str:
    return f"{_cell(answer['description'])} {_content(answer.get('content', {}))}".strip()


def _content(content: _Json) -> str:
    """Return the media types of a body with their schemas."""
    return ", ".join(
        " ".join(filter(None, (_type(one.get("schema", {})), f"`{media_type}`")))
        for media_type, one in content.items()
    )


def _schemas(schemas: _Json) -> Iterator[str]:
    yield from ("# Schemas", "", "What operations take and return. A field without a default is required.", "")
    for name, schema in sorted(schemas.items()):
        yield from (f"## {name}", "", _escaped(schema.get("description", "")), "")
        if "enum" in schema:
            yield from ("One of " + ", ".join(f"`{one}`" for one in schema["enum"]) + ".", "")
        if properties := schema.get("properties"):
            yield from ("| field | type | default | |", "|---|---|---|---|")
            for field, one in properties.items():
                is_required = field in schema.get("required", ())
                default = "" if is_required else f"`{json.dumps(one.get('default'))}`"
                yield f"| `{field}` | {_type(one)} | {default} | {_cell(one.get('description', ''))} |"
            yield ""


def _type(schema: _Json) -> str:
    """Return a schema's type in words, with a link where it has a name."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}]({SCHEMAS}.md#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(one) for one in several)
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items'])}"
        case "object" if isinstance(values := schema.get("additionalProperties"), Mapping):
            return f"object of {_type(values)}"
        case kind:
            return ", ".join(filter(None, (kind, *_bounds(schema))))


def _bounds(schema: _Json) -> Iterator[str]:
    """Yield what else holds for a value."""
    words = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "maxLength": "at most {} characters",
        "format": "{}",
    }
    yield from (text.format(schema[key]) for key, text in words.items() if key in schema)


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;")


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_described())))
