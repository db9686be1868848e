"""What every store has in common: it is opened or nothing is left open, and its driver's errors are explained.

Invariant: a storage failure is never taken for another failure of the system, nor another for one of storage: only
a `StorageError` is answered with its text.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self


class StorageError(OSError):
    """A file or a database cannot be opened, read or written.

    The message is one line that names it, without a password, and says what to do if that is known.
    """


class Storage(ABC):
    """A store that is closed at the end of its context.

    Args:
        name: What people call it; without a password.
        purpose: The first words about what is wrong: `the database cannot be used`.
        driver_error: The base of what the driver raises.
        advice: What to do about errors, if there is a general answer.
    """

    def __init__(self, name: str, purpose: str, driver_error: type[Exception], advice: str = "") -> None:
        self.name: Final = name
        self._purpose = purpose
        self._driver_error = driver_error
        self._advice = f"; {advice}" if advice else ""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Leave nothing open when opening fails."""
        try:
            with self._explained():
                yield
        except BaseException:
            self.close()
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise the driver's errors as `StorageError`."""
        try:
            yield
        except self._driver_error as error:
            reason = " ".join(self._reason(error).split())
            raise StorageError(f"{self.name}: {self._purpose}: {reason}{self._advice}") from error

    def _reason(self, error: Exception) -> str:
        """Return the part of a driver's error that people may see."""
        return str(error)

    def _newer(self, found: object, known: object, instead: str) -> StorageError:
        """Return the error of a store that a newer version has written."""
        return StorageError(
            f"{self.name}: was written by a newer Detour, with schema {found} where this one knows {known}:"
            f" upgrade Detour, or use another {instead}"
        )
