"""New versions of a scenario: from overrides on the command line, from a file, or from an editor.

Invariant: a person's text is never lost. If it cannot be saved, it stays in a file that the error names.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from detour.cli import signals
from detour.cli.connection import checked
from detour.cli.scenario_text import expiry, overrides, read, written
from detour.mesh import is_scenario_name

if TYPE_CHECKING:
    from datetime import datetime

    from detour.client import Client, ScenarioIn, ScenarioOut


def expect_name(name: str) -> None:
    """Check that a name is a valid scenario name.

    Raises:
        ValueError: It is not.
    """
    if not is_scenario_name(name):
        better = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "checkout"
        rule = "at most 63 lowercase letters, digits and dashes, neither beginning nor ending with a dash"
        raise ValueError(f"{name!r} is not a valid scenario name: expected {rule}, such as {better}")


def get_scenario(client: "Client", name: str, version: int | None = None) -> "ScenarioOut":
    """Return a scenario, or one of its versions.

    Raises:
        ClientError: It does not exist.
    """
    expect_name(name)
    return client.get_scenario(name) if version is None else client.get_scenario_version(name, version)


def scenario_body(
    overrides: dict[str, str], owner: str | None, description: str, expires: "datetime | None"
) -> "ScenarioIn":
    """Return a scenario for the server.

    Raises:
        ValueError: A value is invalid.
    """
    from detour.client import ScenarioIn  # noqa: PLC0415  slow to import

    return checked(ScenarioIn, overrides=overrides, owner=owner, description=description, expires=expires)


def with_changes(last: "ScenarioOut", given: list[str], unset: list[str], more: dict[str, str]) -> "ScenarioIn":
    """Return the next version of a scenario.

    Args:
        last: The latest version.
        given: Overrides to add or replace, as on the command line.
        unset: Keys of overrides to remove.
        more: Other fields to change, as on the command line.

    Raises:
        ValueError: A value is invalid, or the scenario has no such override.
    """
    kept = dict(last.overrides)
    for key in unset:
        if (known := next((one for one in (key, f"route.{key}") if one in kept), None)) is None:
            raise ValueError(f"--unset {key}: the scenario has no such override; it has {', '.join(kept)}")
        del kept[known]
    return scenario_body(
        {**kept, **overrides(given)},
        more.get("owner", last.owner),
        more.get("description", last.description),
        expiry(more["expires"]) if "expires" in more else last.expires,
    )


def save_file(client: "Client", name: str, path: Path, *, force: bool) -> "ScenarioOut":
    """Save a file as the next version of a scenario.

    Raises:
        ValueError: The file is not a scenario.
        OSError: The file is unreadable.
        ClientError: The server refused it.
    """
    edited = read(_text_of(path))
    body = scenario_body(edited.overrides, edited.owner, edited.description, edited.expires)
    return client.save_scenario(name, body, version=edited.version, force=force)


def edit_scenario(client: "Client", name: str, *, force: bool) -> "ScenarioOut":
    """Open a scenario in an editor and save it; on failure the text stays in a file that the error names."""
    last = get_scenario(client, name)
    text = written(last)
    folder = Path(tempfile.mkdtemp(prefix="detour-"))
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    is_done = False
    try:
        _open_editor(path)
        if path.read_text(encoding="utf-8") == text:
            is_done = True
            return last
        made = save_file(client, name, path, force=force)
        is_done = True
    except (ValueError, RuntimeError) as error:
        hint = f"Your text is kept; try again with detour scenario edit {name} --file {path}"
        raise RuntimeError(f"{error}. {hint}") from error
    finally:
        if is_done:
            shutil.rmtree(folder)
    return made


def _open_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        with signals.child_handles_interrupt():
            done = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603  the person's own
    except OSError as error:
        raise RuntimeError(f"cannot run the editor {editor!r} ({error.strerror}): set EDITOR") from error
    if done.returncode:
        raise RuntimeError(f"the editor {editor!r} exited with status {done.returncode}; nothing was saved")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text") from error
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}") from error
