"""What a run of the tests without any change shows: what each costs, and which functions it calls."""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

import pytest

from bench.mutation.code import Key, Loaded, key_of


@dataclass(frozen=True, slots=True)
class Learned:
    """What a run without changes shows.

    Args:
        seconds: CPU time by test.
        tests: Those that call a function, the quickest first.
    """

    seconds: Mapping[str, float]
    tests: Mapping[Key, Sequence[str]]

    def cost(self, names: Iterable[str]) -> float:
        """Return the CPU time of tests."""
        return sum(self.seconds[name] for name in names)


def learned(items: Sequence[pytest.Item]) -> Learned:
    """Run all tests once, in a fork, and return what they took and called.

    Raises:
        pytest.UsageError: One of them fails as it is.
    """
    with tempfile.NamedTemporaryFile() as file:
        pid = os.fork()
        if not pid:
            try:
                Path(file.name).write_text(json.dumps(_observed(items)))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        text = Path(file.name).read_text()
    if not text:
        raise pytest.UsageError("the tests could not be run")
    seconds: dict[str, float] = {}
    tests: dict[Key, list[str]] = {}
    for name, took, keys, failed in json.loads(text):
        if failed:
            raise pytest.UsageError(f"{name} fails without any change")
        seconds[name] = took
        for filename, qualname, line in keys:
            tests.setdefault((filename, qualname, line), []).append(name)
    return Learned(seconds, {key: sorted(names, key=seconds.__getitem__) for key, names in tests.items()})


def _observed(items: Sequence[pytest.Item]) -> list[tuple[str, float, list[Key], bool]]:
    rows = []
    loaded = Loaded()
    for at, item in enumerate(items):
        following = items[at + 1] if at + 1 < len(items) else None
        called: set[Key] = set()
        loaded.clear_caches()
        failed, began = item.session.testsfailed, time.process_time()
        with Recording(called):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        rows.append((item.nodeid, time.process_time() - began, sorted(called), item.session.testsfailed > failed))
    return rows


class Recording:
    """Records, in a context, which functions of the project are called, in any thread."""

    def __init__(self, called: set[Key]) -> None:
        self._called, self._folder, self._seen = called, str(Path("src/detour").absolute()), set[CodeType]()

    def __enter__(self) -> None:
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code not in self._seen:
            self._seen.add(code)
            if code.co_filename.startswith(self._folder):
                self._called.add(key_of(code))
