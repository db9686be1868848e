"""Which files of the project are pages of the site, and where links between them lead there.

Invariant: pages are made when the site is built, from files that live elsewhere. A link to a file of the project
leads to a page of the site, or the build fails.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "deploy/helm/detour/README.md": "chart.md",
    "examples/README.md": "examples/index.md",
    "sdk/go/README.md": "sdk/go.md",
    "sdk/typescript/README.md": "sdk/typescript.md",
    "sdk/vectors/README.md": "sdk/vectors.md",
    **{
        f"examples/{path.parent.name}/README.md": f"examples/{path.parent.name}.md"
        for path in ROOT.glob("examples/*/README.md")
    },
}
"""Files outside docs/ that are pages; docs/NAME.md is NAME.md."""

_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
_UNSEARCHED = "---\nsearch: {exclude: true}\n---\n\n"
_LANGUAGES = {
    ".py": "python",
    ".lua": "lua",
    ".js": "js",
    ".json": "json",
    ".yaml": "yaml",
    ".go": "go",
    ".java": "java",
}


@dataclass
class Site:
    """The pages of the site that are not files of docs/.

    Args:
        texts: The Markdown of each, by its place in the site.
        origins: The file of the project that a page is made of, by the page's place.
    """

    texts: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def add(self, place: str, text: str, origin: str) -> None:
        """Add a page."""
        self.texts[place] = text
        self.origins[place] = origin

    def pages(self) -> Iterator[tuple[str, str]]:
        """Yield the pages, each with its place, those that others link to too."""
        done: set[str] = set()
        while places := self.texts.keys() - done:
            for place in sorted(places):
                yield place, self.linked(self.texts[place], self.origins[place], place)
            done |= places

    def linked(self, text: str, origin: str, place: str) -> str:
        """Return a page's text with the links of the file that it is made of, as they are in the site."""

        def moved(found: re.Match[str]) -> str:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), found[1]))
            if target.startswith("..") or not (ROOT / target).exists():
                return found[0]  # the build reports it
            to = posixpath.relpath(self._place(target), posixpath.dirname(place) or ".")
            return f"]({to}{found[2] or ''})"

        return _LINK.sub(moved, text)

    def _place(self, target: str) -> str:
        """Return where a file or folder of the project is in the site; makes a page of it if there is none."""
        if (ROOT / target).is_dir() and (ROOT / target / "README.md").exists():
            target = f"{target}/README.md"
        if target in PAGES:
            return PAGES[target]
        if target == "docs/decisions":
            return "decisions/index.md"
        if target.startswith("docs/"):
            return target.removeprefix("docs/")
        place = f"source/{target}.md"
        if place not in self.texts:
            self.add(place, _folder(target) if (ROOT / target).is_dir() else source(target), target)
        return place


def read(file: str) -> str:
    """Return the text of a file of the project."""
    return (ROOT / file).read_text(encoding="utf-8")


def source(file: str, title: str = "") -> str:
    """Return a page, or a part of one, that shows a file."""
    fence = "`" * 4
    language = _LANGUAGES.get(Path(file).suffix, "text")
    return f"{title or _UNSEARCHED + f'# {file}'}\n\n{fence}{language}\n{read(file).rstrip()}\n{fence}\n"


def decisions() -> Iterator[str]:
    """Yield the lines of the list of decisions."""
    yield from ("# Decisions", "", "What was decided, why, what it costs, and what else was tried.", "")
    for path in sorted(ROOT.glob("docs/decisions/*.md")):
        yield f"- [{title(path.read_text(encoding='utf-8'))}]({path.name})"


def title(text: str) -> str:
    """Return the title of a page."""
    return re.search(r"^# (.+)", text, re.MULTILINE)[1]


def _folder(folder: str) -> str:
    names = sorted(path.name for path in (ROOT / folder).iterdir() if path.is_file())
    entries = (f"- [{name}]({folder.rpartition('/')[2]}/{name})" for name in names)
    return "\n".join([f"{_UNSEARCHED}# {folder}", "", *entries, ""])
