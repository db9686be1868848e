"""A YAML document as plain values that still know on which line they stand.

Every scalar stays text, so that a service may be called `on` and a deployment `42`: YAML 1.1 would make a
boolean and a number of them. Only a blank value (or `null`, or `~`) is None.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from yaml.reader import ReaderError

from detour.discovery.mesh_file.mistakes import MeshFileError, Mistake, Place

_BLANK = {"", "~", "null"}
_BARE_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+\]:\d")


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text says.

    Args:
        value: Made of dict, list, str and None; of two equal keys the first is kept.
        repeated: Keys that stand twice in one mapping, or that are no text.
        root: The node that the value was made from.
    """

    value: object
    repeated: tuple[Mistake, ...]
    root: yaml.Node

    def find(self, place: Place) -> tuple[Place, int]:
        """Find a place and its line, or the nearest around it that exists."""
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
        root = yaml.compose(text, Loader=yaml.BaseLoader)
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


class _Values:
    """Makes plain values of nodes, each node once however many aliases it has."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._made: dict[int, object] = {}

    def of(self, node: yaml.Node, place: Place) -> object:
        """Make the value of a node; one that contains itself finds nothing (None) there."""
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
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _BLANK


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
