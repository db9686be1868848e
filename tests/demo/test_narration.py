import io
import re
import shlex

import pytest
from rich.console import Console

from detour.demo.layout import choose
from detour.demo.narration import Narrator
from detour.demo.ports import Ports
from detour.demo.topology import REGISTRATIONS, WHOLE


@pytest.fixture
def console():
    """Return a console of 80 columns that keeps what is printed."""
    return Console(file=io.StringIO(), width=80, highlight=False)


def printed(console):
    """Return the lines that were printed."""
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_step_that_is_right_prints_what_it_has_shown(console):
    """A long moral goes on below its own beginning."""
    Narrator(console).verdict("word " * 20, [])
    assert printed(console) == ["  ✓ " + "word " * 14 + "word", "    " + ("word " * 5).rstrip(), ""]


def test_wrong_hops_are_printed_once_each_the_most_frequent_first(console):
    """What went wrong many times is one line with its number; brackets in it are no markup."""
    Narrator(console).verdict("all is well", ["a -> b [x]", "c -> d", "c -> d"])
    assert printed(console) == ["  ✗ c -> d (2 times)", "  ✗ a -> b [x]", ""]


def test_very_many_different_wrong_hops_are_cut_short(console):
    """A mesh that is all wrong does not scroll the first reason away."""
    Narrator(console).verdict("all is well", [f"hop {number}" for number in range(40)])
    assert len(printed(console)) == 14
    assert "and 28 more like these" in printed(console)[-2]


def test_commands_are_whole_lines(console):
    """A command is never broken, however narrow the terminal, so that it can be pasted."""
    narrator = Narrator(console)
    with Ports() as ports:
        layout = choose(ports, WHOLE)
    narrator.request(layout, "override.route.users=pr-42,override.route.drivers=pr-7")
    narrator.registration(layout, REGISTRATIONS[0])
    curl, offload, _ = printed(console)
    header = "baggage: override.route.users=pr-42,override.route.drivers=pr-7"
    assert shlex.split(curl)[1:] == ["curl", "-H", header, f"{layout.edge_url}/rides"]
    endpoint = layout.endpoint("users-pr-42-1")
    assert re.search(rf" offload add users pr-42 --endpoint {endpoint} --server {layout.api_url}$", offload)


def test_the_invitation_names_the_page_and_lines_to_paste(console):
    """The page's address is on one line, and is the server that the lines talk to."""
    with Ports() as ports:
        layout = choose(ports, WHOLE)
    Narrator(console).invitation(layout)
    lines = printed(console)
    assert f"Open {layout.api_url}/ to see the mesh and to work with scenarios." in lines
    assert lines[-1].endswith(f" offload ls --server {layout.api_url}")
