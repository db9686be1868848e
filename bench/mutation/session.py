"""One pytest session that has collected the tests, and runs those of each mutant in a fork of itself.

A mutant inside functions takes the place of their code (`code`), and the tests run that call them. Another one, of
a table say, or of a function that is called while modules are imported, is imported anew in the fork, and all tests
of the part run.
"""

import gc
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Final

import pytest

from bench.mutation.code import Key, Loaded, Swap, swap_of
from bench.mutation.forks import KILLED, SURVIVED, Fate, Trial, try_all
from bench.mutation.learning import Learned, Recording, learned
from bench.mutation.mutants import Mutant

_ARGUMENTS: Final = (
    "-q",
    "-x",
    "-s",
    "--tb=native",
    "--assert=plain",
    "--hypothesis-profile=mutation",
    *("-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-k", "not postgresql"),  # it is a process of its own; what the modules do with SQLite says as much
)
_CHECKED: Final = 100
"""The number of tests, the fastest ones, that check whether modules can be imported a second time."""

_SLOW: Final = 3.0
"""Seconds of CPU time from which on a test is too slow to run for each mutant."""


@dataclass(slots=True)
class Session:
    """The plugin.

    Args:
        arguments: What is to be collected.
        mutants: What is to be tried.
        at_once: How many run at a time.
        noted: Called with each mutant's fate.
        seconds: For how long mutants are begun.
    """

    arguments: Sequence[str]
    mutants: Sequence[Mutant]
    at_once: int
    noted: Callable[[Mutant, Fate], None]
    seconds: float = math.inf
    at_import: set[Key] = field(default_factory=set)
    _originals: dict[Path, CodeType] = field(default_factory=dict)

    def run(self) -> int:
        """Collect tests, try all mutants; return pytest's status."""
        with Recording(self.at_import):
            return int(pytest.main([*self.arguments, *_ARGUMENTS], plugins=[self]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try mutants instead of running the tests."""
        sys.setprofile(None)
        threading.setprofile(None)
        if session.testsfailed:
            raise session.Interrupted("the tests can't be collected")
        known = learned(session.items)
        chosen = [item for item in session.items if known.seconds[item.nodeid] <= _SLOW]
        _check_anew(self.arguments, _sorted((item.nodeid for item in chosen), known)[:_CHECKED])
        loaded = Loaded()
        gc.collect()
        gc.freeze()  # forks share what is there
        try_all(self._trials(chosen, known, loaded), self.at_once)
        return True

    def _trials(self, items: Sequence[pytest.Item], known: Learned, loaded: Loaded) -> Iterator[Trial]:
        by_name = {item.nodeid: item for item in items}
        until = time.monotonic() + self.seconds
        for mutant in self.mutants:
            if time.monotonic() > until:
                return
            note = _noting(self.noted, mutant)
            swap = self._swap(mutant)
            if swap is None:
                note(Fate.KILLED)  # not valid Python
            elif swap.is_nothing:
                note(Fate.SAME)
            elif swap.has_more or not loaded.has(swap) or self.at_import & swap.codes.keys():
                names = _sorted(by_name, known)
                yield Trial(_anew(mutant, self.arguments, names), note, known.cost(names) + 5)
            elif names := _covering(swap, known, by_name):
                yield Trial(_swapped(loaded, swap, [by_name[name] for name in names]), note, known.cost(names))
            else:
                note(Fate.SURVIVED)

    def _swap(self, mutant: Mutant) -> Swap | None:
        path = mutant.path.absolute()
        if path not in self._originals:
            self._originals[path] = compile(path.read_text(), str(path), "exec", dont_inherit=True)
        try:
            after = compile(mutant.source(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return None
        return swap_of(self._originals[path], after)


def _swapped(loaded: Loaded, swap: Swap, items: Sequence[pytest.Item]) -> Callable[[], int]:
    def run() -> int:
        loaded.put(swap)
        return KILLED if _fails(items) else SURVIVED

    return run


def _anew(mutant: Mutant | None, arguments: Sequence[str], names: Sequence[str]) -> Callable[[], int]:
    def run() -> int:
        _forget(Path("src/detour").absolute(), Path("tests").absolute())
        if mutant is not None:
            _replace_source(mutant)
        status = pytest.main([*arguments, *_ARGUMENTS], plugins=[_Only(names)])
        return SURVIVED if status in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED} else KILLED

    return run


def _check_anew(arguments: Sequence[str], names: Sequence[str]) -> None:
    """See that modules can be imported anew: else each mutant that needs it would count as noticed."""
    fates: list[Fate] = []
    try_all([Trial(_anew(None, arguments, names), fates.append, 600)], 1)
    if fates != [Fate.SURVIVED]:
        raise pytest.UsageError("the tests fail when modules are imported a second time")


@dataclass(frozen=True, slots=True)
class _Only:
    """Leaves out all tests but some, which come in their order."""

    names: Sequence[str]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {name: at for at, name in enumerate(self.names)}
        items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])


def _forget(*folders: Path) -> None:
    """Have modules imported anew."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and any(folder in Path(file).parents for folder in folders):
            del sys.modules[name]


def _replace_source(mutant: Mutant) -> None:
    original, wanted = SourceFileLoader.get_code, str(mutant.path.absolute())

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if self.path == wanted:
            return compile(mutant.source(), wanted, "exec", dont_inherit=True)
        return original(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]


def _fails(items: Sequence[pytest.Item]) -> bool:
    """Run tests until one fails."""
    session = items[0].session
    for at, item in enumerate(items):
        following = items[at + 1] if at + 1 < len(items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return True
    return False


def _covering(swap: Swap, known: Learned, by_name: Mapping[str, pytest.Item]) -> list[str]:
    """Return the tests that call what is changed, then the others in their files, which may share its fixtures."""
    found = {name for key in swap.codes for name in known.tests.get(key, ()) if name in by_name}
    files = {_file(name) for name in found}
    beside = {name for name in by_name if _file(name) in files} - found
    return [*_sorted(found, known), *_sorted(beside, known)]


def _file(name: str) -> str:
    return name.partition("::")[0]


def _sorted(names: Iterable[str], known: Learned) -> list[str]:
    return sorted(names, key=lambda name: known.seconds[name])


def _noting(noted: Callable[[Mutant, Fate], None], mutant: Mutant) -> Callable[[Fate], None]:
    return lambda fate: noted(mutant, fate)
