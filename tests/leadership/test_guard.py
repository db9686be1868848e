"""A coroutine that takes no step without leave."""

import asyncio

import pytest

from detour.leadership.guard import Guarded


class Work:
    """Something that takes steps, and what it did."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.may = True
        self.go = asyncio.get_running_loop().create_future()

    def start(self) -> asyncio.Task:
        return asyncio.create_task(Guarded(self.run(), lambda: self.may))

    async def run(self) -> None:
        try:
            self.done.append("began")
            await self.go
            self.done.append("went on")
        finally:
            await asyncio.sleep(0)
            self.done.append("ended")


async def test_with_leave_it_runs_as_ever():
    """To its end."""
    work = Work()
    task = work.start()
    work.go.set_result(None)
    await task
    assert work.done == ["began", "went on", "ended"]


async def test_without_leave_it_is_cancelled_where_it_waits():
    """What it waited for is there, and it goes on all the same only to end."""
    work = Work()
    task = work.start()
    await asyncio.sleep(0)
    work.may = False
    work.go.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.done == ["began", "ended"]
    assert task.cancelled()


async def test_without_leave_an_error_does_not_get_in_either():
    """It could be handled there by going on."""
    work = Work()
    task = work.start()
    await asyncio.sleep(0)
    work.may = False
    work.go.set_exception(OSError("away"))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.done == ["began", "ended"]


async def test_without_leave_nothing_begins():
    """Not even the first step."""
    work = Work()
    work.may = False
    task = work.start()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.done == []
    work.go.cancel()


async def test_with_leave_errors_and_cancellation_pass():
    """As with any other coroutine."""
    work = Work()
    task = work.start()
    await asyncio.sleep(0)
    work.go.set_exception(OSError("away"))
    with pytest.raises(OSError, match="away"):
        await task
    other = Work()
    task = other.start()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert other.done == ["began", "ended"]
