"""The base of all stores: opening either succeeds or leaves nothing open, and driver errors become `StorageError`.

Invariant: only storage failures raise `StorageError`, so the API can safely include its text in a response.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self


class StorageError(OSError):
    """A file or a database cannot be opened, read or written.

    The message is one line. It names the store, without a password, and says what to do if known.
    """


class Storage(ABC):
    """A store that closes at the end of its context.

    Args:
        name: Its name in messages; without a password.
        purpose: The beginning of error messages: `the database cannot be used`.
        driver_error: The base class of the driver's errors.
        advice: What to do about errors, if there is general advice.
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
        """Close everything if opening fails."""
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
        """Return the part of a driver error that may be shown."""
        return str(error)

    def _newer(self, found: object, known: object, instead: str) -> StorageError:
        """Return the error for a store that a newer version has written."""
        return StorageError(
            f"{self.name}: a newer version of Detour has written this, with schema {found}; this version supports"
            f" {known}: upgrade Detour, or use another {instead}"
        )
