"""`detour scenario`, and `detour curl -s`: against a real server."""

import json
import re
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from cli.running import detour, refusal, serving
from detour.cli.scenario_text import Edited, expiry, read, written
from detour.contract import ScenarioOut, ScenarioState


@pytest.fixture
def run(server, here, monkeypatch):
    """Run a command of `detour scenario` against the server, as ana unless told otherwise."""

    def scenario(*arguments: str, by: str = "ana", force: bool = True):
        monkeypatch.setenv("DETOUR_SERVER", server.url)
        monkeypatch.setenv("DETOUR_USER", by)
        # Most deployments of this module are names alone.
        forced = ["--force"] if force and arguments[0] in {"save", "edit"} else []
        return here("scenario", *arguments, *forced)

    return scenario


@pytest.fixture
def name(run):
    """Save a scenario, and return its name."""
    made = f"checkout-{uuid.uuid4().hex[:8]}"
    done = run("save", made, "users=pr-42", "delay.payments=300ms", "-d", "the new checkout")
    assert done.returncode == 0, done.stderr
    return made


def document(done) -> dict:
    """Return what a command printed as JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_saving_says_how_to_use_it(run):
    """And how long it lives."""
    done = run("save", "a-first", "users=pr-42")
    assert done.stdout.startswith("a-first is saved; it expires in ")
    assert "detour curl -s a-first -- URL" in done.stdout
    assert "it never expires" in run("save", "a-second", "users=pr-42", "--expires", "never").stdout
    assert run("show", "a-first", "--json").stdout


def test_showing(run, name):
    """With everything that is known, and the header."""
    shown = run("show", name).stdout
    for text in ("the new checkout", "users=pr-42", "delay.payments=300ms", "1, by ana at", " 30 d"):
        assert text in shown
    assert "baggage: override.route.users=pr-42,override.delay.payments=300ms" in shown


def test_listing(run, name):
    """A row each; those of one owner, and those whose time is over, if asked."""
    assert re.search(rf"^{name} +users=pr-42 delay.payments=300ms +ana ", run("ls").stdout, re.MULTILINE)
    assert name in run("ls", "--owner", "ana").stdout
    assert name not in run("ls", "--owner", "bo").stdout
    run("rm", name)
    assert name not in run("ls").stdout
    assert re.search(rf"^{name} .* removed ", run("ls", "--all").stdout, re.MULTILINE)


def test_more_than_a_page(run, monkeypatch):
    """All are listed, however many the server gives at a time."""
    monkeypatch.setattr("detour.client.operations.PAGE_MAX", 2)
    names = [f"page-{number}" for number in range(5)]
    for one in names:
        run("save", one, "users=pr-42", "--owner", "pager")
    assert [one["name"] for one in document(run("ls", "--owner", "pager", "--json"))] == names


def test_editing_by_options(run, name):
    """Overrides are added, replaced and taken out; all else stays."""
    done = run("edit", name, "users=pr-43", "log.users=debug", "--unset", "delay.payments", by="bo")
    assert done.stdout.startswith(f"{name} is at version 2: users=pr-43 log.users=debug; it expires in ")
    found = document(run("show", name, "--json"))
    assert (found["owner"], found["changed_by"], found["description"]) == ("ana", "bo", "the new checkout")
    run("edit", name, "--unset", "users", "--owner", "cy", "--expires", "never", "-d", "")
    found = document(run("show", name, "--json"))
    assert (found["overrides"], found["owner"], found["expires"]) == ({"log.users": "debug"}, "cy", None)
    assert document(run("show", name, "--version", "1", "--json"))["owner"] == "ana"


def test_taking_out_what_is_not_there(run, name):
    """Is refused, with what is there."""
    refused = refusal(run("edit", name, "--unset", "payments"))
    assert refused == "--unset payments: the scenario has no such override; it has route.users, delay.payments"


def test_editing_in_an_editor(run, name, tmp_path, monkeypatch):
    """What the editor leaves is the next version; without a change there is none."""
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/pr-42/pr-44/" "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert "is at version 2: users=pr-44" in run("edit", name).stdout
    assert "is at version 2: users=pr-44" in run("edit", name).stdout
    assert list(tmp_path.iterdir()) == [editor]


def test_an_edit_that_somebody_overtook(run, name, server, tmp_path, monkeypatch):
    """Is refused, and the text kept; saved again from the version that there is, it goes through."""
    editor = tmp_path / "editor.sh"
    overtaking = "import sys; from detour.cli import main; main()"
    words = f"scenario edit {name} users=pr-50 --force --server {server.url}"
    editor.write_text(
        "#!/bin/sh\n"
        f"DETOUR_USER=bo {sys.executable} -c '{overtaking}' {words} >/dev/null || exit 1\n"
        'sed -i "s/pr-42/pr-44/" "$1"\n'
    )
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    told = refusal(run("edit", name))
    assert "is at version 2, by bo" in told
    kept = re.search(r"Your text is kept; try again with detour scenario edit \S+ --file (\S+)", told)[1]
    text = Path(kept)
    assert "pr-44" in text.read_text()
    text.write_text(text.read_text().replace("version: 1", "version: 2"))
    assert "is at version 3: users=pr-44" in run("edit", name, "--file", kept).stdout


@pytest.mark.parametrize(
    ("editor", "told"),
    [("false", "exited with status 1; nothing was saved"), ("/no/such/editor", "set EDITOR")],
)
def test_an_editor_that_fails(run, name, monkeypatch, tmp_path, *, editor, told):
    """Is told, and nothing is saved."""
    monkeypatch.setenv("VISUAL", editor)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert told in refusal(run("edit", name))
    assert document(run("show", name, "--json"))["version"] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\noverrides: [", "line 2: this is not YAML"),
        ("version: !!bool x", "this is not YAML: a value does not match its tag"),
        ("- " * 3000 + "a", "this is not YAML"),
        ("hello", "expected the keys version, owner"),
        ("versoin: 1", "versoin: unknown key"),
        ("overrides: [users=pr-42]", "version: expected"),
        ("version: true\noverrides: [users=pr-42]", "version: expected"),
        ("version: 1\noverrides: users=pr-42", "overrides: expected a list"),
        ("version: 1\noverrides: [users]", "'users' is not an override"),
        ("version: 1\nowner: 3\noverrides: [users=pr-42]", "owner: expected text"),
        ("version: 1\nexpires: soon\noverrides: [users=pr-42]", "expires: expected a time"),
        ("version: 1\nexpires: 3\noverrides: [users=pr-42]", "expires: expected a time"),
    ],
)
def test_a_text_that_is_no_scenario(text, expected):
    """Is refused, with where and what was expected."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        read(text)


def test_the_text_of_a_scenario():
    """What is written is read as it was."""
    expires = datetime(2026, 12, 1, microsecond=123456, tzinfo=UTC)
    overrides = {
        "route.users": "pr-42",
        "route.delay": "pr-1",
        "config.x": "on: yes # no",
        "log.users": "debug",
    }
    scenario = ScenarioOut(
        name="a",
        version=3,
        overrides=overrides,
        baggage="",
        links=[],
        owner="Äna",
        description="two\nlines: yes",
        expires=expires,
        state=ScenarioState.LIVE,
        changed=expires,
        changed_by="ana",
    )
    assert yaml.safe_load(written(scenario))["expires"] == "2026-12-01T00:00:00.123456Z"
    assert read(written(scenario)) == Edited(3, "Äna", expires, "two\nlines: yes", overrides)
    assert yaml.safe_load(written(scenario.model_copy(update={"expires": None})))["expires"] == "never"


def test_when_something_expires():
    """A moment, with or without a zone, a day, or how long from now."""
    day = datetime(2026, 12, 1, tzinfo=UTC)
    assert expiry("2026-12-01T18:00:00+09:00") == day + timedelta(hours=9)
    assert expiry("2026-12-01") == day
    assert read("version: 1\nexpires: 2026-12-01\noverrides: [users=a]").expires == day
    assert expiry("never") is expiry(None) is None
    with pytest.raises(ValueError, match="a duration such as 30d, or never"):
        expiry("tomorrow")


def test_differences(run, name):
    """Between the last two versions, or any two."""
    run("edit", name, "users=pr-43", by="bo")
    run("edit", name, "-d", "a newer checkout", by="cy")
    last = run("diff", name).stdout
    assert f"--- {name} version 2, by bo\n+++ {name} version 3, by cy\n" in last
    assert "-description: the new checkout\n+description: a newer checkout\n" in last
    assert "pr-42" not in last
    assert "-- users=pr-42\n+- users=pr-43\n" in run("diff", name, "1", "2").stdout
    assert "+- users=pr-43" in run("diff", name, "1").stdout


def test_removing_somebody_elses(run, name):
    """Is refused unless one insists."""
    assert refusal(run("rm", name, by="bo")) == f"{name} belongs to ana; use --force to remove it anyway"
    assert run("rm", name, "--force", by="bo").stdout == f"{name} was removed\n"
    assert "was removed by bo" in refusal(run("share", name))


def test_sharing(run, name):
    """As a header, and as lines for a shell."""
    shared = run("share", name).stdout
    assert f"header  x-detour-scenario: {name}\n" in shared
    assert f"curl -H 'x-detour-scenario: {name}' URL" in shared
    assert "inside  baggage: override.route.users=pr-42,override.delay.payments=300ms\n" in shared
    assert f"detour curl -s {name} -- URL" in shared


def test_curl_in_a_scenario(run, name, server):
    """One is named, for edges know it; of several the overrides are sent, with others on top of them."""
    run("save", f"{name}-2", "payments=pr-7", "delay.payments=1s")
    telling = ("--", "-s", "-o", "/dev/null", "-v", f"{server.url}/healthz")
    environment = {"DETOUR_SERVER": server.url}
    done = detour("curl", "-s", name, *telling, **environment)
    assert f"> x-detour-scenario: {name}\n" in done.stderr.replace("\r", "")
    assert f"no response was in the scenario {name}: only edges apply scenarios" in done.stderr
    assert done.returncode == 1
    done = detour("curl", "--force", "-s", name, "--scenario", f"{name}-2", "users=pr-9", *telling, **environment)
    sent = re.search(r"> baggage: (.*)", done.stderr)[1].strip().split(",")
    assert sorted(sent) == [
        "override.delay.payments=1s",
        "override.route.payments=pr-7",
        "override.route.users=pr-9",
    ]
    assert "scenario nobody does not exist" in refusal(detour("curl", "-s", "nobody", *telling, **environment))


def test_a_second_one_of_a_name(run, name):
    """Is refused, and says whose the first one is."""
    assert "already exists" in refusal(run("save", name, "users=pr-1"))


def test_saving_the_same_again_is_no_error(run, name):
    """For programs such as CI; nothing changes. Removing what is gone is none either, if they say so."""
    again = ("save", name, "users=pr-42", "delay.payments=300ms", "-d", "the new checkout", "--json")
    assert document(run(*again))["version"] == 1
    assert run("rm", name, "--missing-ok").stdout == f"{name} was removed\n"
    assert run("rm", name, "--missing-ok").stdout == f"{name} was removed already\n"
    assert run("rm", "never-was", "--missing-ok").stdout == "scenario never-was does not exist\n"
    assert "scenario never-was does not exist" in refusal(run("rm", "never-was"))


@pytest.mark.parametrize("bad", ["feature/x", "Feature", "a_b", "a-"])
def test_what_is_no_name_is_told(run, bad):
    """With one that would do."""
    line = refusal(run("save", bad, "users=filed"))
    assert line.startswith(f"{bad!r} is not a valid scenario name: expected at most 63 lowercase letters")


def test_names_are_checked_before_anything_is_saved(run, name):
    """With the nearest one, and status 1; what was there before is not checked again."""
    for arguments in (["save", "typo", "user=filed"], ["edit", name, "users=file"]):
        done = run(*arguments, force=False)
        assert (done.returncode, "did you mean users=filed?" in done.stderr) == (1, True)
    assert run("edit", name, "-d", "other words", force=False).returncode == 0
    assert "scenario typo does not exist" in refusal(run("show", "typo"))


def test_none_yet(here, tmp_path):
    """An empty list says how to begin."""
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text("services: {}")
    with serving(mesh) as started:
        assert "Save one: detour scenario save" in here("scenario", "ls", "--server", started.url).stdout
