"""What is changed, and the tests that should notice: those that mirror it, as far as they are quick."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.mutation.mutants import module_name

_SOURCES: Final = Path("src/detour")


@dataclass(frozen=True, slots=True)
class Part:
    """Modules that the same tests are for.

    Args:
        modules: Files and folders of `src/detour`.
        tests: Files and folders of `tests`.
        without: What of the modules does I/O, or is tested by real programs alone.
        without_tests: What of the tests starts programs or talks over a network.
    """

    modules: Sequence[str]
    tests: Sequence[str]
    without: Sequence[str] = ()
    without_tests: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The part's name."""
        return self.modules[0]

    def paths(self) -> Iterator[Path]:
        """Yield the modules' files."""
        left_out = {_SOURCES / one for one in self.without}
        for one in self.modules:
            at = _SOURCES / one
            found = sorted(at.rglob("*.py")) if at.is_dir() else [at]
            yield from (path for path in found if path not in left_out)

    def test_arguments(self) -> list[str]:
        """Return what pytest is to be called with."""
        return [*(f"tests/{one}" for one in self.tests), *(f"--ignore=tests/{one}" for one in self.without_tests)]


PARTS: Final = (
    Part(["overrides"], ["overrides"]),
    Part(["mesh"], ["mesh"]),
    Part(
        ["xds"],
        ["xds"],
        without=["xds/server.py", "xds/connection.py", "xds/methods.py"],
        without_tests=["xds/test_server.py", "xds/test_conformance.py"],
    ),
    Part(["traffic"], ["traffic"], without=["traffic/reports.py"], without_tests=["traffic/test_reports.py"]),
    Part(["scenarios"], ["scenarios"]),
    Part(
        ["access"],
        ["access"],
        without=["access/issuer.py"],
        without_tests=["access/issuer", "access/test_issuer.py"],
    ),
    Part(
        ["injection"],
        ["injection"],
        without_tests=["injection/test_command.py", "injection/test_hooks.py", "injection/test_iptables.py"],
    ),
    Part(
        [
            "offload/kubernetes/copying.py",
            "offload/kubernetes/claims.py",
            "offload/kubernetes/labelling.py",
            "offload/kubernetes/selectors.py",
            "offload/kubernetes/sidecars.py",
            "offload/kubernetes/progress.py",
        ],
        ["offload/kubernetes"],
        without_tests=["offload/kubernetes/test_housekeeping.py"],
    ),
    Part(
        [
            "discovery/kubernetes/inventory.py",
            "discovery/kubernetes/reflector.py",
            "discovery/kubernetes/objects.py",
            "discovery/kubernetes/deployments.py",
            "discovery/kubernetes/services.py",
            "discovery/kubernetes/protocols.py",
        ],
        ["discovery/kubernetes"],
        without_tests=["discovery/kubernetes/test_following.py"],
    ),
    Part(
        ["server/trials.py", "server/api/callers.py", "server/tokens.py", "server/identities.py"],
        ["server/test_trials.py", "server/test_callers.py", "server/test_tokens.py"],
    ),
)


def chosen_parts(only: str) -> list[tuple[Part, list[Path]]]:
    """Return the parts with the modules that a person wants; all for an empty text.

    Args:
        only: Modules or folders, such as `traffic/hops,mesh`.

    Raises:
        ValueError: A module does not exist, or is not mutated.
    """
    wanted = [one.strip().removeprefix("src/detour/").removesuffix(".py").strip("/") for one in only.split(",")]
    every = [(part, list(part.paths())) for part in PARTS]
    for one in wanted:
        if not any(_is_of(path, one) for _, paths in every for path in paths):
            known = sorted({module.removesuffix(".py") for part in PARTS for module in part.modules})
            raise ValueError(f"module {one} is not mutated; expected one of {', '.join(known)}")
    found = [(part, [path for path in paths if any(_is_of(path, one) for one in wanted)]) for part, paths in every]
    return [(part, paths) for part, paths in found if paths]


def _is_of(path: Path, wanted: str) -> bool:
    name = module_name(path)
    return not wanted or name == wanted or name.startswith(f"{wanted}/")
