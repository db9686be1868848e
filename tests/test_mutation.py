"""Which mutants `make mutation` makes, and how one takes the place of the code that is there."""

import functools
from pathlib import Path
from types import CodeType

import pytest
from bench.mutation.code import Loaded, swap_of
from bench.mutation.equivalents import equivalents, stale
from bench.mutation.mutants import Mutant, mutants_of
from bench.mutation.parts import PARTS, chosen_parts

SAMPLE = '''"""A module."""

from dataclasses import dataclass

LIMIT = 7


@dataclass(frozen=True)
class Row:
    name: str = ""

    @property
    def is_long(self) -> bool:
        """Say so."""
        return len(self.name) > LIMIT and self.name != "exactly"


def rows(names: list[str]) -> list[Row]:
    return [Row(name) for name in names if name]


Rows = list[Row]
'''


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Mutant]:
    """Return the mutants of a module."""
    monkeypatch.chdir(tmp_path)
    path = Path("src/detour/sample/rows.py")
    path.parent.mkdir(parents=True)
    path.write_text(SAMPLE)
    return mutants_of(path)


def test_what_is_changed(made: list[Mutant]) -> None:
    """Tables, properties, and methods of dataclasses; no docstring, annotation, decorator or type."""
    assert [(one.line, one.change) for one in made] == [
        (5, "7 -> None"),
        (5, "7 -> 8"),
        (10, '"" -> None'),
        (10, '"" -> "XXXX"'),
        (15, 'len(self.name) > LIMIT and self.name != "exactly" -> None'),
        (15, "and -> or"),
        (15, 'and self.name != "exactly" -> '),
        (15, "len(self.name) > LIMIT and -> "),
        (15, "> -> >="),
        (15, "!= -> =="),
        (15, '"exactly" -> "XXexactlyXX"'),
        (19, "[Row(name) for name in names if name] -> None"),
        (19, "Row(name) -> Row(None)"),
        (19, "name -> True"),
        (19, "name -> False"),
    ]
    assert {one.name for one in made} == {"sample/rows"}
    assert made[-1].source() == SAMPLE.replace("if name", "if False")
    assert made[-1].diff().splitlines() == [
        "src/detour/sample/rows.py:19  (condition)",
        "    -    return [Row(name) for name in names if name]",
        "    +    return [Row(name) for name in names if False]",
    ]


def compiled(text: str) -> CodeType:
    """Return a module's code."""
    return compile(text, "sample.py", "exec")


def test_a_function_is_changed_where_it_is() -> None:
    """Also one below a decorator, and what it returned before is forgotten; a table is not."""
    text = "import functools\nLIMIT = 7\n@functools.cache\ndef double(number):\n    return 2 * number\n"
    there: dict[str, object] = {}
    exec(compiled(text), there)
    double = there["double"]
    assert isinstance(double, functools._lru_cache_wrapper)
    assert double(3) == 6
    swap = swap_of(compiled(text), compiled(text.replace("2 *", "3 *")))
    assert not swap.has_more
    loaded = Loaded()
    assert loaded.has(swap)
    loaded.put(swap)
    assert double(3) == 9
    assert swap_of(compiled(text), compiled(text.replace("7", "8"))).has_more
    assert swap_of(compiled(text), compiled(text.replace("def ", "\n\ndef "))).is_nothing


def test_an_equivalent_mutant_is_known_by_its_line(made: list[Mutant], tmp_path: Path) -> None:
    """Wherever that stands; one that is no more is reported, and so is an entry without a reason."""
    path = tmp_path / "equivalents.toml"
    path.write_text('[["sample/rows"]]\nline = "LIMIT = 7"\nchange = "7 -> 8"\nreason = "nobody counts"\n')
    known = equivalents(path)
    assert known == {("sample/rows", "LIMIT = 7", "7 -> 8"): "nobody counts"}
    assert made[1].key in known
    assert stale(known, made) == []
    assert stale(known, [one for one in made if one.line > 5]) == list(known)
    path.write_text('[["sample/rows"]]\nline = "LIMIT = 7"\nchange = "7 -> 8"\n')
    with pytest.raises(ValueError, match="an entry of sample/rows needs line, change and reason"):
        equivalents(path)


def test_the_parts_are_there() -> None:
    """Modules and tests, and the reasons of equivalent mutants; a module that is none is refused by name."""
    for part in PARTS:
        assert all(path.is_file() for path in part.paths())
        assert all(Path("tests", one).exists() for one in (*part.tests, *part.without_tests))
    assert equivalents() is not None
    ((part, paths),) = chosen_parts("traffic/hops")
    assert (part.name, paths) == ("traffic", [Path("src/detour/traffic/hops.py")])
    with pytest.raises(ValueError, match="module traffic/hopps is not mutated"):
        chosen_parts("mesh,traffic/hopps")
