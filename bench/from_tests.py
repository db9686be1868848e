"""What the benchmark uses of the tests: the cluster, the scripted API server, and the conformance suite."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

_TESTS: Final = Path(__file__).parents[1] / "tests"


def from_tests(name: str) -> ModuleType:
    """Import a module of the tests, by its name below `tests/`."""
    if str(_TESTS) not in sys.path:
        sys.path.append(str(_TESTS))
    return import_module(name)
