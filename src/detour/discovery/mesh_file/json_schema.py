"""The JSON Schema of mesh files, for completion and checks in editors (draft 2020-12).

Invariant: it accepts all that `detour.discovery.mesh_file.schema` accepts. It may accept more: that module
decides, and describes mistakes. `docs/mesh.schema.json` is this schema; a test writes it.
"""

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from detour.discovery.mesh_file.schema import File, Retries

ADDRESS: Final = "https://detour.dev/mesh.schema.json"

_BLANK: Final = {"services", "hosts", "previews", "deployments", "edge"}
"""Keys whose value may be left blank: it is an empty mapping then."""


def document() -> dict[str, Any]:
    """Return the schema."""
    made = File.model_json_schema(schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, "$id": ADDRESS, **made, "title": "Detour mesh file"}


class _Generator(GenerateJsonSchema):
    """As pydantic's, with the short forms that a person may write; titles and defaults would be noise."""

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        """Return the whole schema."""
        made = super().generate(schema, mode)
        for definition in (made, *made.get("$defs", {}).values()):
            for key, value in definition.get("properties", {}).items():
                definition["properties"][key] = _as_written(key, value)
            definition.pop("title", None)
        return made

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Return a mapping's schema: all its keys are names of one form."""
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema of a value without its default."""
        return self.generate_inner(schema["schema"])


def _as_written(key: str, value: dict[str, Any]) -> dict[str, Any]:
    kept = {word: text for word, text in value.items() if word != "title"}
    description = {"description": kept.pop("description")} if "description" in kept else {}
    if key in _BLANK:
        return {**description, "anyOf": [kept, {"type": "null"}]}
    if key == "retries":
        short = {"enum": Retries.model_json_schema()["properties"]["attempts"]["enum"]}
        return {**description, "anyOf": [short, *kept["anyOf"]]}
    return {**description, **kept}
