"""The reference of the command line, generated from the commands themselves: a page for each.

Invariant: a page says what `--help` says, in the same words and order.
"""

import re
from collections.abc import Iterator
from typing import Any

import typer

from detour.cli.app import app

_EXTRA = re.compile(r"\s*\[((?:env var|default|required|\d)[^\[\]]*)\]")
"""The facts at the end of an option's help, such as its default, by Typer or by the command itself."""


def pages() -> dict[str, str]:
    """Return the Markdown of each command's page, by the command's name."""
    root = typer.main.get_command(app)
    with root.make_context("detour", [], resilient_parsing=True) as context:
        return {
            command.name: "\n".join(_described(command, context, level=1)) for command in _commands(root, context)
        }


def _commands(group: Any, context: Any) -> Iterator[Any]:
    yield from (group.get_command(context, name) for name in group.list_commands(context))


def _described(command: Any, parent: Any, level: int) -> Iterator[str]:
    """Yield the lines about a command, and about its subcommands one level below."""
    with command.make_context(command.name, [], parent=parent, resilient_parsing=True) as context:
        subcommands = list(_commands(command, context)) if hasattr(command, "list_commands") else []
        yield from (f"{'#' * level} {context.command_path}", "", _paragraphs(command.help or ""), "")
        if not subcommands:
            yield from (
                "```text",
                f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}",
                "```",
                "",
            )
        yield from _options(command, context)
        for one in subcommands:
            yield from _described(one, context, level + 1)


def _options(command: Any, context: Any) -> Iterator[str]:
    records = [one.get_help_record(context) for one in command.get_params(context)]
    rows = [(name, help_text) for name, help_text in filter(None, records) if "--help" not in name]
    if not rows:
        return
    yield from ("| option | what it is |", "|---|---|")
    for name, help_text in rows:
        text = _EXTRA.sub("", help_text)
        facts = "".join(f"<br>*{_cell(fact)}*" for fact in _EXTRA.findall(help_text))
        yield f"| {_name(name)} | {_cell(_text(text))}{facts} |"
    yield ""


def _name(name: str) -> str:
    """Return an option's name and its value separately: a narrow page breaks the line between them."""
    option, _, value = name.rpartition(" ")
    split = [option, value] if option and not value.startswith("-") else [name]
    return " ".join(f"`{_cell(part)}`" for part in split)


def _paragraphs(text: str) -> str:
    """Return a command's help; a paragraph that begins with a backspace keeps its lines, as on a terminal."""
    kept = [one.strip("\n") for one in text.split("\n\n")]
    return "\n\n".join(f"```text\n{one[2:]}\n```" if one.startswith("\b\n") else _text(one) for one in kept)


def _text(text: str) -> str:
    """Return text of a command's help as Markdown: what looks like a tag or an emphasis there is none."""
    return re.sub(r"([<>*_`\[\]])", r"\\\1", text.strip())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
