"""The mutants of a module.

Invariant: the same text has the same mutants in the same order; what makes no difference to Python is none.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, cast

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from bench.mutation.operators import OPERATORS

_SOURCES: Final = Path("src/detour")
_CALLS_LEFT: Final = {"len", "isinstance", "cast", "assert_never", "TypeVar"}
"""Without an argument they fail, or say the same."""
_ALIAS: Final = re.compile("_?[A-Z][a-z][A-Za-z]*|_?[A-Z]")
"""The names of types."""


@dataclass(frozen=True)
class _Text:
    """A module's syntax tree and text, in which a statement can be replaced without writing the others anew."""

    module: cst.Module

    @cached_property
    def statements(self) -> list[str]:
        """The text of each statement of the module."""
        return [self.module.code_for_node(one) for one in self.module.body]

    @cached_property
    def around(self) -> tuple[str, str]:
        """What stands before and behind the statements."""
        code, inner = self.module.code, "".join(self.statements)
        start = code.rindex(inner)
        return code[:start], code[start + len(inner) :]

    def with_statement(self, at: int, text: str) -> str:
        """Return the module's text with another statement in the place of one."""
        before, behind = self.around
        return "".join([before, *self.statements[:at], text, *self.statements[at + 1 :], behind])


@dataclass(frozen=True)
class Mutant:
    """One change to one module.

    Args:
        path: The module's file, from the top of the working tree.
        line: Where the change begins, from 1.
        text: The line there, without its indentation.
        operator: What kind of change it is.
        whole: The module.
        statement: In which of its statements the change is.
        node: What is replaced.
        replacement: By what.
    """

    path: Path
    line: int
    text: str
    operator: str
    whole: _Text
    statement: int
    node: cst.CSTNode
    replacement: cst.CSTNode

    @property
    def name(self) -> str:
        """The module's name, such as `traffic/hops`."""
        return module_name(self.path)

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by after lines were added elsewhere."""
        return self.name, self.text, self.change

    @cached_property
    def change(self) -> str:
        """What was there, and what is there instead."""
        written = self.whole.module.code_for_node
        return _change(written(self.node), written(self.replacement))

    def source(self) -> str:
        """Return the module's text with the change."""
        module = self.whole.module
        changed = module.body[self.statement].visit(_Replacing(self.node, self.replacement))
        return self.whole.with_statement(self.statement, module.code_for_node(cast("cst.CSTNode", changed)))

    def diff(self) -> str:
        """Return the change as a unified diff without context."""
        before, after = self.whole.module.code.splitlines(), self.source().splitlines()
        lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[3:]
        return "\n".join([f"{self.path}:{self.line}  ({self.operator})", *(f"    {line}" for line in lines)])


def module_name(path: Path) -> str:
    """Return what a module is called here: `traffic/hops` for `src/detour/traffic/hops.py`."""
    return str(path.relative_to(_SOURCES).with_suffix("")).removesuffix("/__init__")


def mutants_of(path: Path) -> list[Mutant]:
    """Return the mutants of a module, in the order of its text."""
    text = path.read_text()
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    collector = _Collector(path, wrapper.module, text.splitlines())
    wrapper.visit(collector)
    return collector.found


class _Replacing(cst.CSTTransformer):
    """Replaces one node, known by its identity."""

    def __init__(self, node: cst.CSTNode, replacement: cst.CSTNode) -> None:
        super().__init__()
        self._node, self._replacement, self._is_done = node, replacement, False

    def on_visit(self, node: cst.CSTNode) -> bool:
        return not (self._is_done or node is self._node)

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:  # type: ignore[override]
        if original_node is not self._node or self._is_done:
            return updated_node
        self._is_done = True
        return self._replacement


class _Collector(cst.CSTVisitor):
    """Collects what may be changed.

    Left alone: annotations, aliases of types, decorators, docstrings, imports and `__all__`.
    """

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, path: Path, module: cst.Module, lines: list[str]) -> None:
        super().__init__()
        self.found: list[Mutant] = []
        self._path, self._whole, self._lines = path, _Text(module), lines
        self._places = {id(one): at for at, one in enumerate(module.body)}
        self._statement, self._line = 0, 1

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _is_left_alone(node):
            return False
        position = self.get_metadata(PositionProvider, node, None)
        if position is not None:
            self._line = position.start.line
        self._statement = self._places.get(id(node), self._statement)
        self.found.extend(self._mutants(node))
        return True

    def _mutants(self, node: cst.CSTNode) -> Iterator[Mutant]:
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in _CALLS_LEFT:
            return
        text = self._lines[self._line - 1].strip()
        for kinds, operator, changes in OPERATORS:
            if isinstance(node, kinds):
                for replacement in changes(node):
                    yield Mutant(
                        self._path, self._line, text, operator, self._whole, self._statement, node, replacement
                    )


def _is_left_alone(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.TypeAlias):
        return True
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString | cst.ConcatenatedString):
        return True
    match node:
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value="__all__"))]):
            return True
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value):
            return _ALIAS.fullmatch(name) is not None and _is_type(value)
    return False


def _is_type(node: cst.BaseExpression) -> bool:
    """Return whether an alias is one of types that only annotations name: `tuple[int, str]`, `TypeVar("T")`."""
    match node:
        case cst.Subscript(value=cst.Name(value=name)):
            return name != "Annotated"  # frameworks read its values
        case cst.Call(func=cst.Name(value=name)):
            return name == "TypeVar"
        case cst.BinaryOperation(operator=cst.BitOr()):
            return True
    return False


def _change(before: str, after: str) -> str:
    """Say what changes: words that are the same before and behind it are left out."""
    old, new = before.split(), after.split()
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return f"{' '.join(old)} -> {' '.join(new)}"
