"""Options that several commands share."""

import inspect
from dataclasses import dataclass, field
from typing import Annotated

import typer
from typer.testing import CliRunner

from detour.cli.option_groups import spread

Port = Annotated[int, typer.Option(help="Where it listens.")]
Names = Annotated[list[str], typer.Option("--name")]


@dataclass(frozen=True)
class Listening:
    """A group: one option that has to be given, and two that have defaults."""

    port: Port
    quiet: bool = False
    names: Names = field(default_factory=list)


def test_a_group_is_its_options_and_the_command_receives_the_group() -> None:
    """In the place where the group is."""
    received: list[tuple[str, Listening]] = []

    @spread
    def serve(*, word: str = "x", listening: Listening, last: bool = False) -> None:
        del last
        received.append((word, listening))

    assert list(inspect.signature(serve).parameters) == ["word", "port", "quiet", "names", "last"]
    app = typer.Typer()
    app.command()(serve)
    run = CliRunner().invoke
    assert run(app, ["--port", "7", "--quiet", "--name", "a", "--name", "b"]).exit_code == 0
    assert run(app, ["--port", "8", "--word", "y"]).exit_code == 0
    assert received == [("x", Listening(7, quiet=True, names=["a", "b"])), ("y", Listening(8))]
    assert run(app, []).exit_code == 2
    assert "Where it listens." in run(app, ["--help"]).output
