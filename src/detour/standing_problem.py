"""A problem that lasts: the log has it once when it begins or changes, not each time that it is met again."""

import logging
from collections.abc import Sequence


class StandingProblem:
    """What does not work at the moment, in one respect.

    Args:
        log: Where it is logged.
        level: As what.
    """

    def __init__(self, log: logging.Logger, level: int = logging.ERROR) -> None:
        self._log = log
        self._level = level
        self.text = ""
        """What it is; empty if all is well."""

    @property
    def lines(self) -> Sequence[str]:
        """The same as a list, for those who collect problems."""
        return [self.text] if self.text else []

    def begin(self, text: str) -> None:
        """Take note of the problem: log it unless it is the one that is known."""
        if text != self.text:
            self._log.log(self._level, "%s", text)
        self.text = text

    def end(self) -> bool:
        """Take note that all is well; return whether there was a problem."""
        was_there, self.text = bool(self.text), ""
        return was_there
