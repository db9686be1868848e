"""A call tree as people see it: one line a hop, in columns, with both witnesses side by side."""

from rich.text import Text
from rich.tree import Tree

from detour.demo.call_tree import Call
from detour.demo.topology import GRPC
from detour.demo.verdict import EDGE, own_ms

_GUIDE = 4
"""Columns that each level of a tree is indented by."""

_SERVICE, _INSTANCE, _SERVED_BY, _TIME = 31, 17, 14, 8
"""Widths of the columns; the first holds the guides too, so that the others are aligned at every depth."""

_SLOW_MS = 250


def render(call: Call) -> Tree:
    """Draw the call from the edge and all that followed from it."""
    head = Text.assemble(
        EDGE.ljust(_SERVICE),
        "instance".ljust(_INSTANCE),
        "sidecar says".ljust(_SERVED_BY),
        "took".rjust(_TIME),
        style="dim",
    )
    root = Tree(head, guide_style="dim")
    _grow(root, call, depth=1)
    return root


def _grow(tree: Tree, call: Call, depth: int) -> None:
    branch = tree.add(_row(call, _SERVICE - _GUIDE * depth))
    for further in call.answer.calls if call.answer else ():
        _grow(branch, further, depth + 1)


def _row(call: Call, width: int) -> Text:
    service = f"{call.to} (gRPC)" if call.to in GRPC else call.to
    row = Text.assemble(
        (service.ljust(width), "bold"),
        ((call.answer.instance if call.answer else call.status).ljust(_INSTANCE), _style(call)),
        ((call.served_by or "·").ljust(_SERVED_BY), "magenta" if "@" in call.served_by else "dim"),
        (f"{call.duration_ms:.0f} ms".rjust(_TIME), "bold yellow" if own_ms(call) >= _SLOW_MS else "dim"),
    )
    return row.append(f"\n{call.error}", "red") if call.error else row


def _style(call: Call) -> str:
    if call.answer is None:
        return "bold red"
    return "bold magenta" if call.answer.deployment else "green"
