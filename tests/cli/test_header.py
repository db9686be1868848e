"""`detour header`: words in, a header out."""

import pytest

from cli.running import detour, refusal


def test_the_header_is_printed():
    """With all that was asked for, ready for `curl -H`."""
    done = detour("header", "users=pr-42", "delay.payments=300ms", "missing=baseline")
    assert (done.returncode, done.stderr) == (0, "")
    overrides = "override.route.users=pr-42,override.delay.payments=300ms,override.missing=baseline"
    assert done.stdout == f"baggage: {overrides}\n"


def test_baggage_is_appended_to(here):
    """What is there stays; an override of the same key is replaced."""
    done = here("header", "users=pr-42", "--append-to", "tenant=7;p=1,override.route.users=old")
    assert done.stdout == "baggage: tenant=7;p=1,override.route.users=pr-42\n"


@pytest.mark.parametrize("word", ["users", "users=", "delay.users=fast", "users=a b"])
def test_what_is_no_override_is_told(here, word):
    """One line names the word."""
    assert refusal(here("header", word)).startswith(f"{word!r} is no override: ")
