"""The documents of a YAML stream, as text, and which of them can have to do with pods.

Invariant: the documents together are the stream, in every character. Only documents that may matter are parsed,
because parsing takes nearly all the time: manifests of operators have megabytes of CustomResourceDefinitions.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar, Final

import yaml

_MARKER: Final = re.compile(r"^(?:%[^\n]*\n)*---(?=[ \t\r\n]|\Z)", re.MULTILINE)
"""The start of a document with its directives (YAML 1.2.2, section 9.1). No line of content begins so."""

_POD: Final = "containers"
"""Every pod has this key."""

_KINDS: Final = re.compile(
    r"""["']?kind["']?[ \t]*:[ \t\r\n]*["']?"""
    r"(Namespace|Service|LimitRange|Rollout|Workflow|CronWorkflow|WorkflowTemplate|ClusterWorkflowTemplate)\b"
)
"""The kinds that decide about the pods of others, or whose pods need a word to their owner."""

_SCHEMAS: Final = re.compile(r"^kind:[ \t]*[\"']?CustomResourceDefinition\b", re.MULTILINE)
"""A kind whose objects describe pods and have none."""


def documents(text: str) -> Iterator[str]:
    """Split a stream where documents begin; the first part includes the text before the first document."""
    starts = [match.start() for match in _MARKER.finditer(text)]
    if starts and not _has_content(text[: starts[0]]):
        starts = starts[1:]
    yield from (text[start:end] for start, end in pairwise([0, *starts, len(text)]))


def is_marked(document: str) -> bool:
    """Return whether a document begins with a marker."""
    return _MARKER.search(document) is not None


def may_matter(document: str) -> bool:
    """Return whether a document may have pods, or may decide about the pods of others."""
    is_relevant = _POD in document or _KINDS.search(document) is not None
    return is_relevant and _SCHEMAS.search(document) is None


def parse(document: str) -> Any:
    """Return the value of a document, as Kubernetes reads it.

    Raises:
        yaml.YAMLError: It is not YAML.
        RecursionError: It is nested too deeply.
    """
    try:
        return yaml.load(document, _Loader)  # noqa: S506  a safe one, fewer types
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # PyYAML's own, for a value that is not of its kind, such as `!!bool x` or `0x_`.
        raise yaml.YAMLError(f"a value is not what it looks like ({error})") from error


def dump(value: Any) -> str:
    """Return a value as a document, without a marker."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)
    return text


def _has_content(text: str) -> bool:
    """Return whether a text before a marker is a document: not only comments and directives."""
    lines = (line.strip() for line in text.lstrip("\ufeff").splitlines())
    return any(line and not line.startswith(("#", "%", "...")) for line in lines)


_WIDTH: Final = 100_000
"""Texts stay on one line, however long: the bootstrap of a sidecar is one."""

_TAG: Final = "tag:yaml.org,2002:"
_AS_KUBERNETES: Final = {
    "bool": ("y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    "int": (r"[-+]?(0b[01_]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
"""The words without quotes that Kubernetes does not read as text, and the characters that they begin with."""


class _Loader(yaml.SafeLoader):
    """Reads values as Kubernetes does: no times, no numbers with colons, no `=`; but `y` and `1e3`."""

    bool_values: ClassVar[dict[str, bool]] = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


class _Dumper(yaml.SafeDumper):
    """Quotes every text that Kubernetes or PyYAML would read as another type; writes long texts as blocks."""


_Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0].removeprefix(_TAG) in {"merge", "null"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, (_pattern, _first) in _AS_KUBERNETES.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), list(_first))


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(f"{_TAG}str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
