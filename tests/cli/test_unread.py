"""Commands that accept an override refuse services that sidecars do not read, or name their unread ports."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from cli.running import detour, refusal
from partly_read import REFUSAL, WARNING, partly_read_plane
from web.in_process import page_of, served

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Awaitable[Done]]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Run a command against a server with such services."""
    async with partly_read_plane(tmp_path) as plane, served(page_of(plane)) as server:

        async def run(*arguments: str, **changes: str) -> Done:
            return await asyncio.to_thread(detour, *arguments, DETOUR_SERVER=server.url, **changes)

        yield run


async def test_offload_add_and_show(run: Run) -> None:
    """A warning, before the words that say how to use the deployment."""
    endpoint = ("--endpoint", "127.0.0.1:9102")
    added = await run("offload", "add", "both", "pr-1", *endpoint)
    assert (added.returncode, added.stderr) == (0, f"detour: {WARNING}\n")
    assert added.stdout.startswith("both@pr-1 is registered. To send a request to it")
    assert "has protocol tcp at port 5432" in (await run("offload", "show", "both", "pr-1")).stdout
    assert (await run("offload", "add", "users", "pr-1", *endpoint)).stderr == ""
    assert refusal(await run("offload", "add", "db", "pr-1", *endpoint)).startswith(REFUSAL)


async def test_offload_create(run: Run) -> None:
    """The same."""
    image = ("--image", "users:2", "--no-wait")
    created = await run("offload", "create", "both", "pr-1", *image)
    assert (created.returncode, created.stderr) == (0, f"detour: {WARNING}\n")
    assert created.stdout.startswith("both@pr-1 is being created. To send a request to it")
    assert (await run("offload", "create", "users", "pr-1", *image)).stderr == ""
    assert refusal(await run("offload", "create", "db", "pr-1", *image)).startswith(REFUSAL)


async def test_header_and_curl(run: Run) -> None:
    """The header is printed and the request sent; an override without any effect is refused before."""
    done = await run("header", "both=filed")
    assert (done.returncode, done.stdout) == (0, "baggage: override.route.both=filed\n")
    assert done.stderr == f"detour: both=filed: {WARNING}\n"
    assert (await run("header", "abort.users=503")).stderr == ""
    commands = [("header", "delay.db=1s")]
    if shutil.which("curl"):
        commands.append(("curl", "delay.db=1s", "--", "http://127.0.0.1:1/"))
        assert f"both=filed: {WARNING}" in (await run("curl", "both=filed", "--", "http://127.0.0.1:1/")).stderr
    for command in commands:
        refused = await run(*command)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"detour: delay.db=1s: {REFUSAL}" in refused.stderr
    assert (await run("header", "delay.db=1s", "--force")).returncode == 0


async def test_scenario_save_and_edit(run: Run, tmp_path: Path) -> None:
    """Each says it once: with overrides on the command line, and with those of an editor."""
    said = f"detour: both=filed: {WARNING}\n"
    saved = await run("scenario", "save", "checkout", "both=filed")
    assert (saved.returncode, saved.stderr) == (0, said)
    edited = await run("scenario", "edit", "checkout", "delay.users=1s")
    assert (edited.returncode, edited.stderr) == (0, said)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/1s/2s/" "$1"\n')
    editor.chmod(0o755)
    by_hand = await run("scenario", "edit", "checkout", EDITOR=str(editor))
    assert (by_hand.returncode, by_hand.stderr) == (0, said)
    assert "delay.users=2s" in by_hand.stdout
    for command in (("save", "other"), ("edit", "checkout")):
        refused = await run("scenario", *command, "delay.db=1s")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"detour: delay.db=1s: {REFUSAL}" in refused.stderr
