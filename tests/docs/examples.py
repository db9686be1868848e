"""The examples of the documentation: what stands between its fences.

A comment in front, `<!-- not run: WHY -->`, says of an example that no test runs it, and why.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")),
    "sdk/go/README.md",
    "sdk/typescript/README.md",
)
"""The pages whose examples are tested here; tests/examples types those of examples/."""

_EXAMPLE = re.compile(r"(?:^<!-- not run: (.+?) -->\n+)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """What stands between two fences.

    Args:
        page: The page, relative to the project.
        line: The number of its first line.
        language: As the fence names it.
        text: All its lines.
        not_run: Why no test runs it; "" if one does.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def examples(*languages: str, pages: tuple[str, ...] = PAGES) -> list[Example]:
    """Return the examples of pages, in these languages or in all."""
    return [
        Example(page, text.count("\n", 0, found.start(3)) + 1, found[2], found[3], found[1] or "")
        for page in pages
        for text in [(ROOT / page).read_text()]
        for found in _EXAMPLE.finditer(text)
        if not languages or found[2] in languages
    ]
