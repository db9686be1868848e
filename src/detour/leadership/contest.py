"""Runs coroutines while this process leads, and only then.

Invariant: the coroutines take no step when another candidate could hold the Lease, and they have ended before this
candidate competes again or releases the Lease.
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
from detour.leadership.candidate import Candidate, Read, Record, Timing, Wait, Write
from detour.leadership.guard import Guarded
from detour.leadership.lease import LeaseName
from detour.reason import reason_of
from detour.standing_problem import StandingProblem

Run = Callable[[], Coroutine[Any, Any, None]]
"""The work of a leader: started when leadership begins, cancelled when it ends."""

_RELEASE_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


async def lead(api: Api, name: LeaseName, identity: str, *runs: Run, timing: Timing | None = None) -> None:
    """Run coroutines whenever this process leads, until all have returned or this call is cancelled.

    Args:
        api: The API server.
        name: The Lease.
        identity: A name of this process for people, such as the pod's; a random part is added.
        runs: The work, run concurrently: each coroutine is cancelled when leadership ends, and started again when
            it begins again. Leadership is checked before each step of a coroutine; the coroutine itself has to end
            the tasks that it creates.
        timing: The times of the election; client-go's by default.

    Raises:
        ExceptionGroup: One of `runs` raised; the others have ended, and the Lease is released.
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
        """Compete until the candidate leads."""
        while not self._leads():
            # Half, so that one request that gets no answer leaves time for another one before the deadline.
            await self._step(self._candidate.timing.deadline / 2)
        _log.info("%s: this server leads, as %s", self._name, self._candidate.identity)

    async def hold(self, runs: tuple[Run, ...]) -> bool:
        """Run the work and renew the Lease; return True if all work has returned, False if leadership ended."""
        work = asyncio.create_task(self._work(runs))
        renewing = asyncio.create_task(self._renew())
        try:
            await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Keep renewing while the work ends; losing the Lease ends the work at its next step.
            work.cancel()
            await asyncio.wait({work})
            renewing.cancel()
            await asyncio.wait({renewing})
        return self._outcome(work, renewing)

    async def release(self) -> None:
        """Release the Lease; if that fails, others wait until it expires."""
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                while action := self._candidate.release():
                    await self._release(action)
        except (ApiError, TimeoutError) as error:
            _log.info("%s could not be released: %s", self._name, reason_of(error))

    async def _release(self, action: Read | Write) -> None:
        if isinstance(action, Read):
            await self._read()
            return
        now = lease.moment(datetime.now(UTC))
        # As client-go frees a Lease: without a holder, and with the shortest duration for a candidate that waits
        # all the same.
        freed = Record("", 1, now, now, action.transitions)
        try:
            version = await lease.write(self._api, self._name, freed, action.version)
        except lease.LeaseChangedError:
            # A renewal in flight was cancelled, but was written.
            self._candidate.refused(_now())
        else:
            self._candidate.saw(freed, version, _now())

    def _outcome(self, work: asyncio.Task[bool], renewing: asyncio.Task[None]) -> bool:
        if not work.cancelled() and work.result():
            return True
        if not renewing.cancelled():
            renewing.result()
        _log.warning("%s: this server no longer leads", self._name)
        self._candidate.step_down()
        return False

    async def _work(self, runs: tuple[Run, ...]) -> bool:
        """Return True if all work has returned, False if some was cancelled because leadership ended."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(Guarded(run(), self._leads)) for run in runs]
        return not any(task.cancelled() for task in tasks)

    async def _renew(self) -> None:
        while remaining := self._candidate.remaining(_now()):
            await self._step(min(remaining, self._candidate.timing.deadline / 2))

    async def _step(self, patience: float) -> None:
        """Perform the candidate's next action, within `patience` seconds."""
        action = self._candidate.act(_now())
        if isinstance(action, Wait):
            await asyncio.sleep(min(action.seconds, patience))
            return
        sent = _now()
        try:
            async with asyncio.timeout(patience):
                await (self._read() if isinstance(action, Read) else self._write(action))
            self._problem.end()
        except lease.LeaseChangedError:
            self._candidate.refused(_now())
        except (ApiError, TimeoutError) as error:
            self._candidate.failed(sent)
            why = reason_of(error)
            self._problem.begin(f"{self._name} cannot be read or written: {why}; Detour will retry")

    async def _read(self) -> None:
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
    """Return the seconds of a clock that also runs while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
