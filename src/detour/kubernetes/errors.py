"""What a call of the API server raises."""

from collections.abc import Collection
from http import HTTPStatus


class ApiError(RuntimeError):
    """The API server refused, or did not answer, or its answer was unreadable.

    Args:
        message: For people.
        code: The HTTP status of a refusal; 0 without a readable answer.
        causes: The machine-readable reasons that the API server gave (meta/v1, `StatusCause`).
    """

    def __init__(self, message: str, code: int = 0, causes: Collection[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.causes = frozenset(causes)

    @property
    def is_conflict(self) -> bool:
        """Whether another writer was faster: the object exists already, or has another version by now."""
        return self.code == HTTPStatus.CONFLICT
