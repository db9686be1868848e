"""Renders a call tree: one line for each hop, with the reports of the instance and of the caller's sidecar."""

from collections.abc import Mapping

from rich.text import Text
from rich.tree import Tree

from detour.demo.call_tree import Call
from detour.demo.topology import GRPC, PYTHON, QUEUE, Service, Topology
from detour.demo.verdict import EDGE, own_ms

_GUIDE = 4
"""The indentation of each level of a tree, in characters."""

_SERVICE, _INSTANCE, _SERVED_BY, _TIME = 36, 16, 14, 8
"""Widths of the columns; the first includes the indentation, so that the others are aligned at every depth."""

_SLOW_MS = 250

_PROTOCOL_NOTES = {GRPC: " (gRPC)", QUEUE: " (queue)"}


def render(call: Call, topology: Topology) -> Tree:
    """Render the call from the edge and all calls below it."""
    notes = {one.name: _note(one) for one in topology}
    head = Text.assemble(
        EDGE.ljust(_SERVICE),
        "instance".ljust(_INSTANCE),
        "sidecar says".ljust(_SERVED_BY),
        "took".rjust(_TIME),
        style="dim",
    )
    root = Tree(head, guide_style="dim")
    _grow(root, call, notes, depth=1)
    return root


def _note(service: Service) -> str:
    return f" ({service.language})" if service.language != PYTHON else _PROTOCOL_NOTES.get(service.scheme, "")


def _grow(tree: Tree, call: Call, notes: Mapping[str, str], depth: int) -> None:
    branch = tree.add(_row(call, notes.get(call.to, ""), _SERVICE - _GUIDE * depth))
    for further in call.answer.calls if call.answer else ():
        _grow(branch, further, notes, depth + 1)


def _row(call: Call, note: str, width: int) -> Text:
    row = Text.assemble(
        (f"{call.to}{note}".ljust(width), "bold"),
        ((call.answer.instance if call.answer else call.status).ljust(_INSTANCE), _style(call)),
        ((call.served_by or "·").ljust(_SERVED_BY), "magenta" if "@" in call.served_by else "dim"),
        (f"{call.duration_ms:.0f} ms".rjust(_TIME), "bold yellow" if own_ms(call) >= _SLOW_MS else "dim"),
    )
    return row.append(f"\n{call.error}", "red") if call.error else row


def _style(call: Call) -> str:
    if call.answer is None:
        return "bold red"
    return "bold magenta" if call.answer.deployment else "green"
