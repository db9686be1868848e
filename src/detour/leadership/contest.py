"""Doing something while leading, and only then.

Invariant: what is to be done takes no step when the Lease could be somebody else's, and has ended before this
candidate tries again or gives the Lease back.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from detour.kubernetes.api import Api
from detour.kubernetes.errors import ApiError
from detour.leadership import lease
from detour.leadership.candidate import Candidate, Look, Record, Timing, Wait, Write
from detour.leadership.guard import Guarded
from detour.leadership.lease import LeaseName
from detour.standing_problem import StandingProblem

Run = Callable[[], Coroutine[Any, Any, None]]
"""What to do while leading: started at each beginning of leadership, cancelled at its end."""

_RELEASE_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


async def lead(api: Api, name: LeaseName, identity: str, *runs: Run, timing: Timing | None = None) -> None:
    """Do what is to be done whenever this process leads, until all of it has returned or this is cancelled.

    Args:
        api: The API server.
        name: The Lease.
        identity: Who this is, for people: the pod's name. A random part is added.
        runs: What to do; side by side, each cancelled when leadership ends and started again with the next. Each
            is held to the Lease at every step of its own; tasks that it makes end only when it ends them.
        timing: How long things take; client-go's by default.

    Raises:
        ExceptionGroup: Of what one of `runs` raised; the others have ended, and the Lease is given back.
    """
    candidate = Candidate(f"{identity}_{uuid.uuid4().hex[:8]}", timing or Timing())
    contest = _Contest(api, name, candidate)
    try:
        while True:
            await contest.win()
            if await contest.hold(runs):
                return
    finally:
        candidate.step_down()
        await contest.release()


class _Contest:
    """One candidate and the Lease."""

    def __init__(self, api: Api, name: LeaseName, candidate: Candidate) -> None:
        self._api = api
        self._name = name
        self._candidate = candidate
        self._problem = StandingProblem(_log)

    async def win(self) -> None:
        """Return as soon as the candidate leads."""
        while not self._leads():
            await self._step(self._candidate.timing.deadline / 2)
        _log.info("%s: this server leads, as %s", self._name, self._candidate.identity)

    async def hold(self, runs: tuple[Run, ...]) -> bool:
        """Do what is to be done while renewing; say whether it has all returned, rather than leadership ended."""
        work = asyncio.create_task(self._work(runs))
        renewing = asyncio.create_task(self._renew())
        try:
            await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The Lease is kept while the work ends, but the end of the Lease ends the work.
            work.cancel()
            await asyncio.wait({work})
            renewing.cancel()
            await asyncio.wait({renewing})
        return self._outcome(work, renewing)

    async def release(self) -> None:
        """Give the Lease back; where that fails, others wait until it ends."""
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                while action := self._candidate.release():
                    await self._give_back(action)
        except (ApiError, TimeoutError) as error:
            _log.info("%s could not be given back: %s", self._name, error or type(error).__name__)

    async def _give_back(self, action: Look | Write) -> None:
        if isinstance(action, Look):
            await self._look()
            return
        now = lease.moment(datetime.now(UTC))
        freed = Record("", 1, now, now, action.transitions)
        try:
            version = await lease.write(self._api, self._name, freed, action.version)
        except lease.LeaseChangedError:
            # A renewal was on its way when it was cancelled.
            self._candidate.refused(_now())
        else:
            self._candidate.saw(freed, version, _now())

    def _outcome(self, work: asyncio.Task[bool], renewing: asyncio.Task[None]) -> bool:
        if not work.cancelled() and work.result():
            return True
        if not renewing.cancelled():
            renewing.result()
        _log.warning("%s: this server leads no more", self._name)
        self._candidate.step_down()
        return False

    async def _work(self, runs: tuple[Run, ...]) -> bool:
        """Say whether all have returned, rather than lost their leave."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(Guarded(run(), self._leads)) for run in runs]
        return not any(task.cancelled() for task in tasks)

    async def _renew(self) -> None:
        while remaining := self._candidate.remaining(_now()):
            await self._step(min(remaining, self._candidate.timing.deadline / 2))

    async def _step(self, patience: float) -> None:
        """Do what the candidate does next, in at most so many seconds."""
        action = self._candidate.act(_now())
        if isinstance(action, Wait):
            await asyncio.sleep(min(action.seconds, patience))
            return
        sent = _now()
        try:
            async with asyncio.timeout(patience):
                await (self._look() if isinstance(action, Look) else self._write(action))
            self._problem.end()
        except lease.LeaseChangedError:
            self._candidate.refused(_now())
        except (ApiError, TimeoutError) as error:
            self._candidate.failed(sent)
            why = str(error) or type(error).__name__
            self._problem.begin(f"{self._name} cannot be read or written: {why}; it will be tried again")

    async def _look(self) -> None:
        record, version = await lease.read(self._api, self._name)
        self._candidate.saw(record, version, _now())

    async def _write(self, write: Write) -> None:
        sent = _now()
        record = self._record(write)
        version = await lease.write(self._api, self._name, record, write.version)
        self._candidate.wrote(record, version, sent, _now())

    def _record(self, write: Write) -> Record:
        now = lease.moment(datetime.now(UTC))
        mine = Record(self._candidate.identity, self._candidate.timing.duration, now, now, write.transitions)
        seen = self._candidate.seen
        return replace(mine, acquired=seen.acquired) if write.is_renewal and seen else mine

    def _leads(self) -> bool:
        return self._candidate.leads(_now())


def _now() -> float:
    """Return seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
