"""The loop of an update, on a store that another writer changes as well."""

import pytest

from detour.kubernetes.errors import ApiError
from detour.kubernetes.update import ATTEMPTS, update


class Store:
    """A number with a version; another writer adds 10 before each of the first writes."""

    def __init__(self, faster: int = 0) -> None:
        self.value, self.version = 1, 1
        self.reads = 0
        self._faster = faster

    async def read(self) -> tuple[int, int]:
        self.reads += 1
        return self.value, self.version

    async def write(self, held: tuple[int, int], change: int) -> None:
        if self._faster:
            self._faster -= 1
            self.value, self.version = self.value + 10, self.version + 1
        if held[1] != self.version:
            raise ApiError("it has another version", 409)
        self.value, self.version = change, self.version + 1


async def test_a_change_is_decided_on_what_was_read_and_written_once():
    """And returned."""
    store = Store()
    assert await update(store.read, lambda held: held[0] + 1, store.write) == 2
    assert (store.value, store.reads) == (2, 1)


async def test_nothing_is_written_where_nothing_is_to_change():
    """Nor read again."""
    store = Store()
    assert await update(store.read, lambda held: None, store.write) is None
    assert (store.version, store.reads) == (1, 1)


async def test_where_another_writer_was_faster_it_is_read_and_decided_anew():
    """So the other's change stays."""
    store = Store(faster=ATTEMPTS - 1)
    assert await update(store.read, lambda held: held[0] + 1, store.write) == 42
    assert (store.value, store.reads) == (42, ATTEMPTS)


async def test_the_conflict_is_raised_in_the_end():
    """It does not write over what it has not read, however often it tries."""
    store = Store(faster=ATTEMPTS)
    with pytest.raises(ApiError) as caught:
        await update(store.read, lambda held: held[0] + 1, store.write)
    assert caught.value.is_conflict
    assert (store.value, store.reads) == (51, ATTEMPTS)


async def test_other_refusals_are_raised_at_once():
    """Trying again would not help."""
    store = Store()

    async def write(held: tuple[int, int], change: int) -> None:
        raise ApiError("no", 403)

    with pytest.raises(ApiError, match="no"):
        await update(store.read, lambda held: held[0] + 1, write)
    assert store.reads == 1
