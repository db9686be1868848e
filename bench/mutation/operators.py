"""What is changed: each operator takes a node of a syntax tree, and yields what may stand in its place."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import libcst as cst
from mutmut.mutation.mutators import mutation_operators

Operator = Callable[[Any], Iterable[cst.CSTNode]]

_TRUE: Final = cst.Name("True")
_FALSE: Final = cst.Name("False")


def _condition(node: cst.If | cst.IfExp | cst.CompIf) -> Iterator[cst.CSTNode]:
    """Decide always the same way."""
    padded = {"whitespace_before_test": cst.SimpleWhitespace(" ")} if isinstance(node, cst.If | cst.CompIf) else {}
    for decided in (_TRUE, _FALSE):
        yield node.with_changes(test=decided, **padded)


def _operand(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    """Leave out one of two conditions; parentheses stay, for a condition may go over several lines."""
    for kept in (node.left, node.right):
        yield kept.with_changes(lpar=[*node.lpar, *kept.lpar], rpar=[*kept.rpar, *node.rpar])


def _return(node: cst.Return) -> Iterator[cst.CSTNode]:
    """Return nothing."""
    if node.value is not None and not (isinstance(node.value, cst.Name) and node.value.value == "None"):
        yield node.with_changes(value=cst.Name("None"), whitespace_after_return=cst.SimpleWhitespace(" "))


def _element(node: cst.Tuple | cst.List | cst.Set | cst.Dict) -> Iterator[cst.CSTNode]:
    """Leave out one of several elements."""
    elements = node.elements
    if len(elements) > 1 and not (isinstance(node, cst.Tuple) and len(elements) == 2):
        for at in range(len(elements)):
            yield node.with_changes(elements=[*elements[:at], *elements[at + 1 :]])


def _statement(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """Leave out a call whose result is unused."""
    if isinstance(node.value, cst.Call | cst.Await | cst.Yield):
        yield cst.Pass()


def _text(node: cst.FormattedStringText) -> Iterator[cst.CSTNode]:
    """Say something else between the values of an f-string."""
    yield node.with_changes(value=f"XX{node.value}")


def _string(operator: Operator) -> Operator:
    """Take the first of mutmut's changes of a string: who notices that notices capitals as well."""
    return lambda node: islice(operator(node), 1)


_OURS: Final[Sequence[tuple[tuple[type[cst.CSTNode], ...], Operator]]] = (
    ((cst.If, cst.IfExp, cst.CompIf), _condition),
    ((cst.BooleanOperation,), _operand),
    ((cst.Return,), _return),
    ((cst.Tuple, cst.List, cst.Set, cst.Dict), _element),
    ((cst.Expr,), _statement),
    ((cst.FormattedStringText,), _text),
)


def _operators() -> Iterator[tuple[type[cst.CSTNode] | tuple[type[cst.CSTNode], ...], str, Operator]]:
    for kind, operator in mutation_operators:
        name = operator.__name__.removeprefix("operator_")
        if name != "if_exp":  # `_condition` does the same
            yield kind, name, _string(operator) if name == "string" else operator
    for kinds, operator in _OURS:
        yield kinds, operator.__name__.removeprefix("_"), operator


OPERATORS: Final = tuple(_operators())
"""Each with its name and the kind of node that it changes."""
