"""The command line: `python -m bench.mutation [--only MODULE]`."""

import math
import multiprocessing
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from bench.mutation.equivalents import Key, equivalents, stale
from bench.mutation.forks import Fate
from bench.mutation.mutants import Mutant, module_name, mutants_of
from bench.mutation.parts import Part, chosen_parts
from bench.mutation.score import Score, show, write
from bench.mutation.session import Session

_RESULT: Final = Path(__file__).parents[1] / "results" / "mutation.json"
_FORK: Final = multiprocessing.get_context("fork")
_SAMPLE_MINUTES: Final = 8
_SHOWN_MAX: Final = 2000
"""Maximum number of characters of pytest's output in an error: its end."""

_LEAST: Final = 5
"""Minimum number of mutants to try of each module."""

_Fates = dict[int, Fate]


@dataclass(slots=True)
class _Run:
    """The run of one part.

    Args:
        part: The part.
        paths: Its modules.
        mutants: All mutants of its modules.
        tried: Indices of the mutants to try.
        fates: The results, by index.
    """

    part: Part
    paths: Sequence[Path]
    mutants: Sequence[Mutant]
    tried: Sequence[int] = ()
    fates: _Fates = field(default_factory=dict)


def mutation(
    *,
    only: Annotated[
        str, typer.Option(help="Modules or folders, such as traffic/hops,mesh, with all their mutants.")
    ] = "",
    sample: Annotated[int, typer.Option(help="How many mutants to try; 0 for all of them.", min=0)] = 3000,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
    at_once: Annotated[int, typer.Option(help="How many run at a time.", min=1)] = os.cpu_count() or 1,
    minutes: Annotated[
        float | None,
        typer.Option(help="How long to try at most; 0 for any time.  [default: 8 for a sample]", min=0),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Write bench/results/mutation.json.")] = True,
) -> None:
    """Change the pure modules in small ways, and show the changes that no test notices."""
    runs = [
        _Run(part, paths, [one for path in paths for one in mutants_of(path)]) for part, paths in chosen_parts(only)
    ]
    share = 1.0 if only or not sample else min(1.0, sample / max(1, sum(len(run.mutants) for run in runs)))
    for run in runs:
        run.tried = _sampled(run.mutants, share, seed)
    minutes = _SAMPLE_MINUTES if minutes is None and share < 1 else minutes
    total, failures = sum(len(run.tried) for run in runs), list[str]()
    for run in runs:
        try:
            run.fates = _tried(run, at_once, 60 * minutes * len(run.tried) / total if minutes else math.inf)
        except RuntimeError as error:
            failures.append(str(error))
    known = equivalents()
    scores = [score for run in runs for score in _scores(run, known)]
    for run in runs:
        _show_survivors(run, known)
    show(scores)
    for module, line, change in stale(known, [one for run in runs for one in run.mutants]):
        _say(
            f"equivalents.toml: {module} no longer has the mutant {change!r} in the line {line!r}: remove the entry"
        )
    if failures:
        raise RuntimeError("\n".join(failures))
    if keep and not only:
        write(_RESULT, seed, scores)


def _sampled(mutants: Sequence[Mutant], share: float, seed: int) -> list[int]:
    """Choose mutants of each module, and some of even the smallest."""
    by_module: dict[str, list[int]] = {}
    for place, mutant in enumerate(mutants):
        by_module.setdefault(mutant.name, []).append(place)
    chosen: list[int] = []
    for name, places in by_module.items():
        count = min(len(places), max(_LEAST, round(share * len(places))))
        chosen += random.Random(f"{seed} {name}").sample(places, count)
    random.Random(seed).shuffle(chosen)
    return chosen


def _tried(run: _Run, at_once: int, seconds: float) -> _Fates:
    """Try mutants in a process of their own, for a process can import the modules once only.

    Args:
        run: What is tried.
        at_once: How many at a time.
        seconds: For how long at most.

    Raises:
        RuntimeError: The tests fail without any change.
    """
    receiving, sending = _FORK.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile() as output:
        process = _FORK.Process(target=_work, args=(run, at_once, seconds, sending, output.name), daemon=True)
        process.start()
        sending.close()
        fates: _Fates = {}
        try:
            while True:
                place, fate = receiving.recv()
                fates[place] = fate
                _progress(run, len(fates))
        except EOFError:
            process.join()
        if process.exitcode:
            words = Path(output.name).read_text(errors="replace")[-_SHOWN_MAX:]
            raise RuntimeError(f"the tests of {run.part.name} could not be run:\n{words}")
    return fates


def _work(run: _Run, at_once: int, seconds: float, sending: Connection, output: str) -> None:
    with Path(output).open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    places = {id(run.mutants[place]): place for place in run.tried}

    def noted(mutant: Mutant, fate: Fate) -> None:
        sending.send((places[id(mutant)], fate))

    mutants = [run.mutants[place] for place in run.tried]
    session = Session(run.part.test_arguments(), mutants, at_once, noted, seconds)
    sys.exit(session.run())


def _scores(run: _Run, known: Mapping[Key, str]) -> list[Score]:
    there = Counter(mutant.name for mutant in run.mutants)
    counts = {name: Counter[str]() for name in there}
    for place, fate in run.fates.items():
        mutant = run.mutants[place]
        is_known = fate is Fate.SURVIVED and mutant.key in known
        counts[mutant.name]["equivalent" if is_known else fate.value] += 1
    return [
        Score(name, there[name], one.total() - one["same"], one["equivalent"], one["killed"])
        for name, one in ((module_name(path), counts.get(module_name(path), Counter())) for path in run.paths)
        if one
    ]


def _show_survivors(run: _Run, known: Mapping[Key, str]) -> None:
    for place, fate in sorted(run.fates.items()):
        mutant = run.mutants[place]
        if fate is Fate.SURVIVED and mutant.key not in known:
            sys.stdout.write(f"{mutant.diff()}\n    change = {mutant.change!r}\n")


def _progress(run: _Run, count: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{run.part.name}: {count} of {len(run.tried)} mutants\033[K")
        if count == len(run.tried):
            sys.stderr.write("\r\033[K")


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)


def main() -> None:
    """Run it; an error that a person can mend is one line and status 2."""
    try:
        typer.run(mutation)
    except (OSError, ValueError, RuntimeError) as error:
        _say(f"mutation: {error}")
        sys.exit(2)


if __name__ == "__main__":
    main()
