"""A YAML document as plain values, and the line of each.

Every scalar stays text, so that a service can be named `on` and a deployment `42`: YAML 1.1 would read a boolean
and a number. Only a blank value (or `null`, or `~`) is None.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.composer import Composer
from yaml.reader import ReaderError
from yaml.resolver import BaseResolver

from detour.discovery.mesh_file.mistakes import MeshFileError, Mistake, Place

_BLANK = {"", "~", "null"}
_BARE_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+\]:\d")


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML text, parsed.

    Args:
        value: Consists of dict, list, str and None; the first of two equal keys is kept.
        repeated: Keys that occur twice in one mapping, or that are not text.
        root: The root node.
    """

    value: object
    repeated: tuple[Mistake, ...]
    root: yaml.Node

    def find(self, place: Place) -> tuple[Place, int]:
        """Return a place and its line, or the nearest enclosing place that exists."""
        node, line, found = self.root, _line(self.root), 0
        while found < len(place) and (child := _child(node, place[found])):
            line, node = child
            found += 1
        return place[:found], line


def read_document(text: str, file: Path) -> Document:
    """Read a text of one YAML document.

    Raises:
        MeshFileError: It is not YAML, empty, or nested absurdly deep.
    """
    try:
        root = _composed(text)
        if root is None:
            raise MeshFileError(file, [Mistake(0, 'is empty: expected the key "services"')])
        values = _Values()
        return Document(values.of(root, ()), tuple(values.mistakes), root)
    except yaml.MarkedYAMLError as error:
        raise MeshFileError(file, [_marked(error, text)]) from error
    except ReaderError as error:
        raise MeshFileError(file, [_unreadable(error, text)]) from error
    except RecursionError:
        raise MeshFileError(file, [Mistake(0, "is nested too deeply to be a mesh file")]) from None


def _fast_loader() -> type[Any] | None:
    """Return a loader that parses in C and composes in Python; None where PyYAML comes without libyaml.

    PyYAML's own composer in C ends the process at absurd depths.
    """
    if not yaml.__with_libyaml__:
        return None
    from yaml._yaml import CParser  # noqa: PLC0415  not in every PyYAML

    class FastLoader(Composer, CParser, BaseResolver):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            BaseResolver.__init__(self)

    return FastLoader


_FAST_LOADER: Final = _fast_loader()


def _composed(text: str) -> yaml.Node | None:
    """Compose the only document of a text, six times faster where libyaml is available.

    Raises:
        YAMLError: The text has a mistake; PyYAML's own parser describes it, in the same words everywhere.
    """
    if _FAST_LOADER is not None:
        with suppress(yaml.YAMLError):
            found: yaml.Node | None = _FAST_LOADER(text).get_single_node()
            return found
    return yaml.compose(text, Loader=yaml.BaseLoader)


class _Values:
    """Converts nodes to plain values, each node once however many aliases it has."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._made: dict[int, object] = {}

    def of(self, node: yaml.Node, place: Place) -> object:
        """Convert a node; a node that contains itself has None there."""
        key = id(node)
        if key not in self._made:
            self._made[key] = None
            self._made[key] = self._make(node, place)
        return self._made[key]

    def _make(self, node: yaml.Node, place: Place) -> object:
        match node:
            case yaml.MappingNode():
                return self._mapping(node, place)
            case yaml.SequenceNode():
                return [self.of(item, (*place, index)) for index, item in enumerate(node.value)]
            case _:
                return None if _is_blank(node) else node.value

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        values: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, place, "expected text as a key, got a list or a mapping")
            elif key.value in values:
                self._note(key, (*place, key.value), f"is there twice, first on line {lines[key.value]}")
            else:
                lines[key.value] = _line(key)
                values[key.value] = self.of(value, (*place, key.value))
        return values

    def _note(self, node: yaml.Node, place: Place, text: str) -> None:
        self.mistakes.append(Mistake.at(place, _line(node), text))


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((_line(key), value) for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return _line(node.value[part]), node.value[part]
    return None


def _is_blank(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in _BLANK


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _marked(error: yaml.MarkedYAMLError, text: str) -> Mistake:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    if _BARE_IPV6.search("".join(text.splitlines()[line - 1 : line])):
        return Mistake(line, 'is not YAML: an IPv6 endpoint needs quotes, as in "[::1]:8080"')
    return Mistake(line, "is not YAML: " + ", ".join(filter(None, (error.context, error.problem))))


def _unreadable(error: ReaderError, text: str) -> Mistake:
    line = text.count("\n", 0, error.position) + 1
    return Mistake(line, f"is not YAML: character U+{ord(text[error.position]):04X} is not allowed")
