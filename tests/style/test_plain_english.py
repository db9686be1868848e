"""Texts for people are in plain English: constructions that made readers stumble do not come back.

The test searches whole files, code included, because identifiers can be riddles as well (`told`, `nobody`). It
finds phrases across line breaks, in prose, in comments and in strings that consist of several parts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

READ = ("*.md", "src", "docs", "sdk", "examples", "deploy", "bench", "setup", ".github", "Makefile")
SUFFIXES = frozenset(
    {"", ".css", ".go", ".html", ".java", ".js", ".json", ".lua", ".md", ".mjs"}
    | {".py", ".sh", ".toml", ".tpl", ".ts", ".txt", ".yaml", ".yml"}
)

SKIPPED = frozenset(
    {"node_modules", "package-lock.json", "requirements.lock", "uv.lock", "__pycache__", "results", "LICENSE"}
    | {"dist"}  # built
    | {"test", "testdata"}  # the SDKs' tests, which only contributors read
)

# The gap between two words of a phrase: white space, and the start of a comment or a string on the next line.
GAP = r"""(?:[ \t]+|[ \t]*["'`]?[ \t]*\n[ \t]*(?:(?:\#|//+|\*+|--+|>)[ \t]*|[rf]?["'`][ \t]*)?)"""
BE = r"\b(?:is|are|was|were|be|been|being|isn't|aren't)"


@dataclass(frozen=True, slots=True)
class Construction:
    """A construction to avoid.

    Args:
        pattern: A regular expression; a space stands for `GAP`.
        instead: What to write instead.
    """

    pattern: str
    instead: str

    def found_in(self, text: str) -> Iterator[re.Match[str]]:
        """Yield each place in a text in lower case: patterns that ignore case take twice the time."""
        return re.finditer(self.pattern.replace(" ", GAP), text)


CONSTRUCTIONS = (
    Construction(
        r"(?<![a-z])(?:told(?![a-z])|tell)",
        "who sends, reports, logs, returns or shows what: 'the control plane sends the sidecar a cluster'",
    ),
    Construction(
        r"(?<![a-z])nobody(?![a-z])",
        "what is refused, unknown or missing: 'callers without a role are refused', 'no owner'",
    ),
    Construction(
        r"(?<![a-z])(?:somebody|everybody|whoever)(?![a-z])",
        "who: 'the caller', 'another user', 'all users', 'other requests'",
    ),
    Construction(
        rf"{BE} no (?!longer\b|op\b|(?:more|less|fewer|later|earlier) than\b)(?=[\w{{<'\"`])",
        "'is not a X', 'X does not exist', 'without X'",
    ),
    Construction(
        r"\bwho(?:ever)? (?:asks?|asked)\b",
        "'the caller', 'the client', 'the requester'",
    ),
    Construction(
        r"\b(?:of|by|to|for|as|from|with) whom\b|\bof which\b",
        "a sentence of its own, with its subject: 'the user whose token it is'",
    ),
    Construction(
        r"\bwhat(?:'s| is| was| has)? gone\b",
        "'removed resources', 'what was removed'",
    ),
    Construction(
        r"\b(?:by|at|on) (?:the|its|their|that|whose) word\b|\bwhose word\b|\bthe word of\b",
        "'as reported by'",
    ),
    Construction(
        r"\b(?:does not|do not|doesn't|don't|did not) count\b",
        "'is invalid', 'is ignored', 'has no effect', 'is expired'",
    ),
    Construction(
        r"\bnot any ?more\b|\bthat is not any\b",
        "'no longer'",
    ),
    Construction(
        r"\bso (?:many|often)\b(?! that)|\b(?:after|for|within) so (?:long|much|many)\b(?! as)",
        "'maximum number of ...', 'at most N times', 'after N seconds'",
    ),
)


def texts() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file that people read."""
    for pattern in READ:
        for top in sorted(ROOT.glob(pattern)):
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                place = path.relative_to(ROOT)
                is_text = path.suffix in SUFFIXES and not path.name.endswith("_test.go")
                if is_text and not SKIPPED.intersection(place.parts) and path.is_file():
                    yield str(place), path.read_text(errors="replace")


def found(text: str) -> list[tuple[int, str, str]]:
    """Return each construction in a text: its line, its words, and what to write instead."""
    lowered = text.lower()
    places = [(match, one) for one in CONSTRUCTIONS for match in one.found_in(lowered)]
    return [
        (text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), one.instead)
        for match, one in sorted(places, key=lambda place: place[0].start())
    ]


def test_texts_have_none_of_the_constructions() -> None:
    """In documentation, messages, docstrings, comments and names; the failure lists each place."""
    places = [
        f"{place}:{line}: {words!r}: write {instead} instead"
        for place, text in texts()
        for line, words, instead in found(text)
    ]
    assert not places, "\n".join(["readers have to decode these:", *places])


@pytest.mark.parametrize(
    "text",
    [
        "a new offloaded deployment is told to nobody",
        "nobody without a role is anybody",
        "by the word of the instance that answered",
        "Of many services, so many are named to somebody",
        "operations that tell nothing that is not everybody's to know",
        "that API token does not count, or not any more",
        "def told(headers):",
        "TOLD_BY_EDGES = ()",
        "tellOnce(problem)",
        "a host that is no service of the mesh",
        'f"this is no {kind}"',
        "who asks",
        "API tokens, of which only the hash is stored",
        "as whom they act",
        "names what is gone",
        "a cluster is\ntold",
        "# the sidecar is\n    # told of it",
        " * what is\n * gone",
        '"the token does not"\n    " count"',
    ],
)
def test_a_construction_is_found(text: str) -> None:
    """In prose and names, and across lines of prose, of comments and of strings."""
    assert found(text)


@pytest.mark.parametrize(
    "text",
    [
        "a watch that is no longer open takes no more than a second",
        "No sidecar learns about a new deployment until a request names it.",
        "Callers without a role are refused.",
        "as reported by both the instance and the caller's sidecar",
        "Maximum number of services listed in an unknown-service error.",
        "the word `override` in a key",
        "so many that they do not fit",
        "as long as the stream is open",
        "It is not valid.\n\nNo deployment is ready.",
        "retold intelligence, foretelling",
    ],
)
def test_plain_english_is_not(text: str) -> None:
    """Ordinary phrases that look alike are left alone."""
    assert not found(text)
