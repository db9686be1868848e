import io
from dataclasses import replace

from rich.console import Console

from demo.trees import MESH, change, missing, tree
from detour.demo.tree import render


def drawn(call, width=80):
    """Return the lines that a terminal of that width shows."""
    console = Console(file=io.StringIO(), width=width)
    console.print(render(call, MESH))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_each_hop_is_a_line_with_both_witnesses_in_columns():
    """Service, instance, the sidecar's word and the time stand below each other, however deep the hop."""
    assert drawn(tree({"users": "pr-42"})) == [
        "edge                                instance        sidecar says      took",
        "└── web                             web-1           web              15 ms",
        "    └── rides                       rides-1         rides            12 ms",
        "        ├── drivers (gRPC)          drivers-1       drivers           9 ms",
        "        │   ├── maps (Go)           maps-1          maps              6 ms",
        "        │   │   └── users           users-pr-42-1   users@pr-42       3 ms",
        "        │   └── users               users-pr-42-1   users@pr-42       3 ms",
        "        ├── payments                payments-1      payments          9 ms",
        "        │   ├── users               users-pr-42-1   users@pr-42       3 ms",
        "        │   └── receipts (queue)    receipts-1      ·                 6 ms",
        "        │       └── users           users-pr-42-1   users@pr-42       3 ms",
        "        ├── quotes (TypeScript)     quotes-1        quotes            6 ms",
        "        │   └── users               users-pr-42-1   users@pr-42       3 ms",
        "        └── users                   users-pr-42-1   users@pr-42       3 ms",
    ]


def test_a_failed_hop_shows_its_status_and_why():
    """The status stands where the instance would, and the response's words below it."""
    lines = drawn(change(tree(), "payments", lambda call: replace(missing(call), served_by="")))
    assert lines[7] == "        ├── payments                503             ·                 9 ms"
    assert lines[8] == "        │   Detour: no ready instance of deployment pr-404 of service users"


def test_a_narrow_terminal_breaks_no_row():
    """With 80 columns every row is whole; a long reason goes on below, at its hop's depth."""
    lines = drawn(change(tree(), "users", missing))
    assert all(len(line) <= 80 for line in lines)
    assert [line for line in lines if "503" in line] == [
        "        │   │   └── users           503             users@pr-404      3 ms",
        "        │   └── users               503             users@pr-404      3 ms",
        "        │   ├── users               503             users@pr-404      3 ms",
        "        │       └── users           503             users@pr-404      3 ms",
        "        │   └── users               503             users@pr-404      3 ms",
        "        └── users                   503             users@pr-404      3 ms",
    ]
    assert lines[-1] == "            (override.route.users=pr-404)"
