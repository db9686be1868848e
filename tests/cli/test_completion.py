"""Shell completion: what a shell is told when a person presses the tab key."""

import pytest

from cli.running import Server, detour


def completed(server: str, *words: str) -> list[str]:
    """Return what bash is told for a line whose last word is not complete."""
    asked = {"_DETOUR_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = detour(DETOUR_SERVER=server, **asked)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("detour", "sc"), ["scenario"]),
        (("detour", "offload", "show", "u"), ["users"]),
        (("detour", "offload", "show", "users", "f"), ["filed"]),
        (("detour", "header", "pay"), ["payments="]),
        (("detour", "curl", "users", "=", "f"), ["filed"]),
        (("detour", "scenario", "save", "x", "users=f"), ["users=filed"]),
    ],
)
def test_names_of_the_server_are_completed(server: Server, words: tuple[str, ...], found: list[str]):
    """Services, deployments of the one that is named, and both in an override."""
    assert completed(server.url, *words) == found


def test_without_a_server_nothing_is_completed():
    """And nothing is printed into the line."""
    assert completed("http://127.0.0.1:9", "detour", "header", "us") == []
