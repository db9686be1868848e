"""What MkDocs calls when it builds the site: pages are made of the project's files, of the code, and of the API."""

import re
from pathlib import Path
from typing import Any

import commands
import operations
import project
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_USE = "\n## Use it\n"
"""Where the README's start ends, which is the site's first page; what follows is its second one."""

_PYTHON = {
    "python/client.md": """# The client for Python

::: detour.client
    options: {members: false}

::: detour.client.Client
    options: {show_root_heading: true}

::: detour.client.AsyncClient
    options: {show_root_heading: true}

::: detour.client
    options: {filters: ["!^_", "!^(Async)?Client$"], show_docstring_description: false}
""",
    "python/sdk.md": "# The SDK for Python\n\n::: detour.sdk\n",
}
"""Pages that mkdocstrings makes of docstrings."""

_site = project.Site()
_commands: dict[str, str] = {}
_operations: dict[str, str] = {}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the navigation: `NAME/*` stands for the pages below it."""
    _commands.update(commands.pages())
    _operations.update(operations.pages(operations.document()))
    found = {
        "commands": [f"commands/{name}.md" for name in _commands],
        "api": [f"api/{name}.md" for name in _operations],
        "decisions": sorted(f"decisions/{path.name}" for path in project.ROOT.glob("docs/decisions/*.md")),
        "examples": sorted(place for place in project.PAGES.values() if place.startswith("examples/")),
    }
    config.nav = _filled(config.nav, found)
    return config


def _filled(nav: Any, found: dict[str, list[str]]) -> Any:
    if isinstance(nav, dict):
        return {name: _filled(part, found) for name, part in nav.items()}
    if isinstance(nav, list):
        return [
            one
            for part in nav
            for one in (found[part.removesuffix("/*")] if _stands_for_many(part) else [_filled(part, found)])
        ]
    return nav


def _stands_for_many(part: Any) -> bool:
    return isinstance(part, str) and part.endswith("/*")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files of docs/."""
    _add_files_of_the_project()
    for folder, made in (("commands", _commands), ("api", _operations)):
        for name, text in made.items():
            files.append(File.generated(config, f"{folder}/{name}.md", content=text))
    for place, text in {"decisions/index.md": "\n".join(project.decisions()), **_PYTHON}.items():
        files.append(File.generated(config, place, content=text))
    for file in files.documentation_pages():
        origin = f"docs/{file.src_uri}"
        if (project.ROOT / origin).exists():
            _site.linked(file.content_string, origin, file.src_uri)  # makes pages of the sources that it names
    for place, text in _site.pages():
        files.append(File.generated(config, place, content=text))
    return files


def _add_files_of_the_project() -> None:
    for file, place in project.PAGES.items():
        text = project.read(file)
        if file == "README.md":
            text, rest = _halves(text)
            _site.add("use.md", rest, file)
        if file.startswith("examples/") and place != "examples/index.md":
            text += _files_of_example(Path(file).parent)
        _site.add(place, text, file)


def _halves(text: str) -> tuple[str, str]:
    start, _, rest = text.partition(_USE)
    if not rest:
        raise LookupError(f"README.md has no section {_USE.strip()!r}, at which docs/site/hooks.py cuts it")
    return start, f"{_USE.strip()[1:]}\n{re.sub('^##', '#', rest, flags=re.MULTILINE)}"


def _files_of_example(folder: Path) -> str:
    paths = sorted(
        path for path in (project.ROOT / folder).iterdir() if path.is_file() and path.name != "README.md"
    )
    return "\n## Its files\n" + "".join(
        f"\n{project.source(f'{folder}/{path.name}', f'### {path.name}')}" for path in paths
    )


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have the links of a page of docs/ lead to pages of the site."""
    del config, files
    origin = f"docs/{page.file.src_uri}"
    return _site.linked(markdown, origin, page.file.src_uri) if (project.ROOT / origin).exists() else markdown
