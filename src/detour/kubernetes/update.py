"""Changing what others may change at the same time."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from detour.kubernetes.errors import ApiError

ATTEMPTS: Final = 5
"""Another writer may be faster this often in a row."""

_Held = TypeVar("_Held")
_Change = TypeVar("_Change")


async def update(
    read: Callable[[], Awaitable[_Held]],
    decide: Callable[[_Held], _Change | None],
    write: Callable[[_Held, _Change], Awaitable[object]],
) -> _Change | None:
    """Read, decide and write; begin again when another writer was faster.

    Args:
        read: Reads the state, with the version that `write` expects.
        decide: Decides on the change; None for no change. May be called several times.
        write: Writes the change to the version that was read: a conflict (409) if there is another by now.

    Returns:
        The change that was written; None if there was nothing to change.

    Raises:
        ApiError: A call failed, or there was a conflict `ATTEMPTS` times in a row.
    """
    for attempt in range(1, ATTEMPTS + 1):
        held = await read()
        change = decide(held)
        if change is None:
            return None
        try:
            await write(held, change)
        except ApiError as error:
            if not error.is_conflict or attempt == ATTEMPTS:
                raise
        else:
            return change
    raise AssertionError("the last attempt returns or raises")
