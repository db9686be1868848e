"""`detour header`: words in, a header out."""

import pytest

from cli.running import detour, refusal


def test_the_header_is_printed():
    """With all that was asked for, ready for `curl -H`."""
    done = detour("header", "users=pr-42", "delay.payments=300ms", "missing=baseline")
    assert done.returncode == 0
    assert done.stderr.startswith("detour: names were not checked: no Detour server answers at")
    overrides = "override.route.users=pr-42,override.delay.payments=300ms,override.missing=baseline"
    assert done.stdout == f"baggage: {overrides}\n"


def test_baggage_is_appended_to(here):
    """What is there stays; an override of the same key is replaced."""
    done = here("header", "users=pr-42", "--append-to", "tenant=7;p=1,override.route.users=old")
    assert done.stdout == "baggage: tenant=7;p=1,override.route.users=pr-42\n"


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("user=filed", "the mesh has no service user; did you mean users=filed?"),
        ("Users=filed", "the mesh has no service Users; did you mean users=filed?"),
        ("dely.users=3s", "the mesh has no service dely.users; did you mean delay.users=3s?"),
        ("dely.user=3s", "the mesh has no service dely.user; did you mean delay.users=3s?"),
        ("confg.new=on", "the mesh has no service confg.new; did you mean config.new=on?"),
        ("users=fild", "users has no deployment fild; did you mean users=filed?"),
        ("payments=x", "payments has no deployment x: it has none"),
        ("abort.payment=503", "the mesh has no service payment; did you mean abort.payments=503?"),
        ("log.user=debug", "the mesh has no service user; did you mean log.users=debug?"),
    ],
)
def test_names_are_checked(here, server, word, words):
    """Against the server's mesh, with the nearest; status 1, and nothing is printed. They may be forced."""
    done = here("header", word, "--server", server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"detour: {word}: {words}\nIf it does not exist yet, use --force.\n"
    forced = here("header", word, "--server", server.url, "--force")
    assert (forced.returncode, forced.stderr) == (0, "")


def test_what_no_mesh_knows_is_not_checked(here, server):
    """Flags, and the log levels of services that nobody calls."""
    words = ("config.new-checkout=on", "log.worker=debug", "missing=baseline", "users=filed", "delay.payments=1s")
    assert here("header", *words, "--server", server.url).stderr == ""


@pytest.mark.parametrize("word", ["users", "users=", "delay.users=fast", "users=a b"])
def test_what_is_no_override_is_told(here, word):
    """One line names the word."""
    assert refusal(here("header", word)).startswith(f"{word!r} is not an override: ")
