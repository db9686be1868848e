"""Problems that last: the log has one line when a problem begins or changes, not one each time it occurs again."""

import logging
from collections.abc import Collection, Hashable, Sequence


class StandingProblem:
    """What does not work at the moment, in one respect.

    Args:
        log: Where it is logged.
        level: The log level.
    """

    def __init__(self, log: logging.Logger, level: int = logging.ERROR) -> None:
        self._log = log
        self._level = level
        self._cause: Hashable = None
        self.text = ""
        """What it is; empty if all is well."""

    @property
    def lines(self) -> Sequence[str]:
        """The same as a list, for those who collect problems."""
        return [self.text] if self.text else []

    def begin(self, text: str, *, cause: Hashable = None) -> None:
        """Take note of the problem: log it unless it is known already.

        Args:
            text: What it is.
            cause: What makes it the same problem, where the text varies; by default the text.
        """
        cause = text if cause is None else cause
        if not self.text or cause != self._cause:
            self._log.log(self._level, "%s", text)
        self.text, self._cause = text, cause

    def end(self) -> bool:
        """Take note that all is well; return whether there was a problem."""
        was_there, self.text = bool(self.text), ""
        return was_there


class StandingProblems:
    """The same for many places, each with a problem of its own.

    Args:
        log: Where they are logged.
        level: The log level.
    """

    def __init__(self, log: logging.Logger, level: int = logging.ERROR) -> None:
        self._log = log
        self._level = level
        self._problems: dict[str, StandingProblem] = {}

    @property
    def lines(self) -> Sequence[str]:
        """A line each, by place."""
        return [problem.text for _, problem in sorted(self._problems.items())]

    def __bool__(self) -> bool:
        return bool(self._problems)

    def begin(self, place: str, text: str) -> None:
        """Take note of a problem: log it unless it is known already."""
        self._problems.setdefault(place, StandingProblem(self._log, self._level)).begin(text)

    def end(self, place: str) -> None:
        """Take note that all is well there."""
        self._problems.pop(place, None)

    def keep_only(self, places: Collection[str]) -> None:
        """Forget the problems of all other places: these no longer exist."""
        for place in self._problems.keys() - set(places):
            del self._problems[place]
