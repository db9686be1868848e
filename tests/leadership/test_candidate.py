"""Never two that believe to lead, whatever the clocks, the network and the API server do."""

import heapq
import random
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detour.leadership.candidate import Candidate, Read, Record, Timing, Wait, Write

TIMING = Timing()


class RefusedError(Exception):
    """The Lease has another version."""


@dataclass
class Store:
    """A Lease with compare and swap, as the API server keeps it."""

    record: Record | None = None
    version: int = 0
    transitions: list[str] = field(default_factory=list)

    def read(self) -> tuple[Record | None, str | None]:
        return self.record, str(self.version) if self.record else None

    def write(self, record: Record, version: str | None) -> str:
        if version != self.read()[1]:
            raise RefusedError
        if self.record is None or self.record.holder != record.holder:
            self.transitions.append(record.holder)
        self.record, self.version = record, self.version + 1
        return str(self.version)

    def delete(self) -> None:
        self.record, self.version = None, self.version + 1


@dataclass
class Clock:
    """A candidate's clock: somewhere else, and a little too fast or slow."""

    offset: float
    rate: float

    def at(self, time: float) -> float:
        return self.offset + time * self.rate


class World:
    """Candidates, a Lease, and a network that delays and loses by chance. True time is `time`."""

    def __init__(self, clocks: list[Clock], chance: random.Random, loss: float, slowest: float) -> None:
        self.store, self.chance, self.loss, self.slowest = Store(), chance, loss, slowest
        self.candidates = {Candidate(f"c{number}", TIMING): clock for number, clock in enumerate(clocks)}
        self.cut_off: set[str] = set()
        """Candidates that the API server is away for."""
        self.led: set[str] = set()
        self._events: list = []
        self._order = count()
        self.time = 0.0
        for candidate in self.candidates:
            self.at(0.0, lambda candidate=candidate: self.act(candidate))

    def at(self, time: float, do) -> None:
        heapq.heappush(self._events, (time, next(self._order), do))

    def leaders(self) -> list[Candidate]:
        return [one for one, clock in self.candidates.items() if one.leads(clock.at(self.time))]

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.time, _, do = heapq.heappop(self._events)
            do()
            leaders = self.leaders()
            self.led.update(one.identity for one in leaders)
            assert len(leaders) <= 1, f"at {self.time}: {[one.identity for one in leaders]}"
        self.time = until

    def act(self, candidate: Candidate) -> None:
        clock = self.candidates[candidate]
        action = candidate.act(clock.at(self.time))
        if isinstance(action, Wait):
            self.at(self.time + action.seconds / clock.rate + 1e-6, lambda: self.act(candidate))
            return
        self.send(candidate, action, clock.at(self.time))

    def send(self, candidate: Candidate, action: Read | Write, sent: float) -> None:
        """Carry it there and back; either way may be lost or take long, and the caller gives up after a while."""
        there, back = (self.chance.random() ** 4 * self.slowest for _ in range(2))
        patience = TIMING.deadline / 2
        is_heard = candidate.identity not in self.cut_off and self.chance.random() >= self.loss
        is_answered = is_heard and self.chance.random() >= self.loss and there + back < patience
        wait = there + back if is_answered else patience * self.chance.random()

        def arrive() -> None:
            try:
                answer = self.apply(candidate, action)
            except RefusedError:
                answer = None
            if is_answered:
                self.at(self.time + back, lambda: self.take(candidate, action, answer, sent))

        if is_heard:
            self.at(self.time + there, arrive)
        if not is_answered:
            self.at(self.time + wait, lambda: self.give_up(candidate, sent))

    def cut(self, kind: str) -> None:
        """Take the API server away from who leads, from all, or from nobody."""
        away = {"cut": self.leaders(), "away": self.candidates, "back": ()}[kind]
        self.cut_off = {one.identity for one in away}

    def release(self) -> None:
        """Have the leader give the Lease back, in a message that may be late, and run again."""
        for candidate in self.leaders():
            write = candidate.release()
            candidate.step_down()
            if isinstance(write, Write):
                self.at(self.time + self.chance.random() * self.slowest, lambda write=write: self.free(write))

    def free(self, write: Write) -> None:
        with suppress(RefusedError):
            self.store.write(Record("", 1, "", f"{self.time}", write.transitions), write.version)

    def apply(self, candidate: Candidate, action: Read | Write):
        if isinstance(action, Read):
            return self.store.read()
        record = Record(candidate.identity, TIMING.duration, "", f"{self.time}", action.transitions)
        return record, self.store.write(record, action.version)

    def take(self, candidate: Candidate, action: Read | Write, answer, sent: float) -> None:
        now = self.candidates[candidate].at(self.time)
        if isinstance(action, Read):
            candidate.saw(*answer, now)
        elif answer is None:
            candidate.refused(now)
        else:
            candidate.wrote(*answer, sent, now)
        self.act(candidate)

    def give_up(self, candidate: Candidate, sent: float) -> None:
        candidate.failed(sent)
        self.act(candidate)


CLOCKS = st.lists(
    st.builds(Clock, st.floats(-1e9, 1e9), st.floats(0.9, 1.1)),
    min_size=2,
    max_size=3,
)
UPHEAVALS = st.lists(
    st.tuples(st.floats(0, 300), st.sampled_from(["away", "back", "delete", "release", "cut"])), max_size=8
)
CHANCE = st.builds(random.Random, st.integers(0, 2**32))


@settings(max_examples=300, deadline=None)
@given(CLOCKS, UPHEAVALS, CHANCE, st.floats(0, 0.6), st.floats(0.01, 30))
def test_never_two_lead(clocks, upheavals, chance, loss, slowest):
    """Whatever is lost, late or done though no answer came; whether the server is away or the Lease deleted."""
    world = World(clocks, chance, loss, slowest)
    for time, kind in upheavals:
        if kind == "delete":
            world.at(time, world.store.delete)
        elif kind == "release":
            world.at(time, world.release)
        else:
            world.at(time, lambda kind=kind: world.cut(kind))
    world.run(400)


@settings(max_examples=50, deadline=None)
@given(CLOCKS, CHANCE, st.floats(0, 0.2))
def test_somebody_leads_before_long(clocks, chance, loss):
    """Within two durations and a few periods, where most of what is sent arrives."""
    world = World(clocks, chance, loss, 0.1)
    world.run(120)
    assert world.led


def candidate() -> Candidate:
    """Make one that knows nothing yet."""
    return Candidate("me", TIMING)


def leader() -> Candidate:
    """Make one that has led since 0."""
    one = candidate()
    one.saw(record(""), "7", 0)
    one.wrote(record("me"), "8", 0, 0)
    return one


def record(holder: str, renewed: str = "1", duration: float = 15) -> Record:
    """Make what a Lease says."""
    return Record(holder, duration, "", renewed, 3)


def test_a_free_lease_is_taken_at_once():
    """Its last holder has said that it leads no more."""
    one = candidate()
    assert one.act(0) == Read()
    one.saw(record(""), "7", 0.1)
    assert one.act(0.1) == Write("7", 4, is_renewal=False)
    one.wrote(record("me"), "8", 0.1, 0.2)
    assert one.leads(10)
    assert not one.leads(10.1)


def test_a_held_lease_is_taken_when_it_has_not_changed_for_its_duration():
    """By the candidate's own clock, from when it first saw it so, and not earlier."""
    one = candidate()
    one.saw(record("you"), "7", 100)
    assert one.act(100) == Wait(2)
    one.saw(record("you"), "8", 114.9)
    assert one.act(116.9) == Read()
    one.saw(record("you"), "8", 116.9)
    assert one.act(116.9) == Write("8", 4, is_renewal=False)


def test_each_renewal_starts_the_wait_anew():
    """Only that it changed counts, not what time it says."""
    one = candidate()
    one.saw(record("you", "9999-01-01"), "7", 0)
    one.saw(record("you", "1970-01-01"), "8", 14)
    one.saw(record("you", "1970-01-01"), "8", 28)
    assert one.act(28) == Wait(2)


def test_the_holders_duration_counts_not_ours():
    """A leader of another version may have asked for longer."""
    one = candidate()
    one.saw(record("you", duration=60), "7", 0)
    one.saw(record("you", duration=60), "7", 59)
    assert one.act(59) == Wait(2)
    one.saw(record("you", duration=60), "7", 61)
    assert one.act(61) == Write("7", 4, is_renewal=False)


def test_who_makes_an_absent_lease_waits_before_it_leads():
    """It may have been deleted under a leader, who does not know yet."""
    one = candidate()
    one.saw(None, None, 0)
    assert one.act(0) == Write(None, 0, is_renewal=False)
    one.wrote(record("me"), "8", 0, 1)
    assert not one.leads(1)
    one.saw(record("me"), "8", 15)
    assert one.act(15) == Wait(2)
    one.saw(record("me"), "8", 17)
    assert one.act(17) == Write("8", 3, is_renewal=True)
    one.wrote(record("me", "2"), "9", 17, 17.1)
    assert one.leads(26.9)


def test_a_lease_that_nobody_ever_held_is_waited_for():
    """Somebody has made it by hand, perhaps in the place of a leader's."""
    one = candidate()
    one.saw(record("", renewed="", duration=0), "7", 0)
    assert one.act(0) == Wait(2)
    one.saw(record("", renewed="", duration=0), "7", 15)
    assert one.act(15) == Write("7", 4, is_renewal=False)


def test_a_leader_renews_without_looking():
    """One request a period."""
    one = leader()
    assert one.act(0.5) == Wait(1.5)
    assert one.act(2) == Write("8", 3, is_renewal=True)


def test_a_leader_makes_a_deleted_lease_again():
    """Without an interruption: others wait."""
    one = leader()
    one.refused(2)
    assert one.act(2) == Read()
    one.saw(None, None, 2.1)
    assert one.leads(2.1)
    assert one.act(2.1) == Write(None, 0, is_renewal=False)


@pytest.mark.parametrize("holder", ["you", ""])
def test_a_leader_that_sees_another_holder_leads_no_more(holder):
    """Somebody has written the Lease by hand."""
    one = leader()
    one.refused(2)
    one.saw(record(holder, "2"), "9", 2.1)
    assert not one.leads(2.1)


def test_a_leader_whose_lease_was_annotated_goes_on():
    """The version is another; the holder is not."""
    one = leader()
    one.refused(2)
    one.saw(record("me"), "9", 2.1)
    assert one.leads(2.1)
    assert one.act(2.1) == Write("9", 3, is_renewal=True)


def test_a_leader_that_cannot_renew_leads_until_its_deadline():
    """Counted from before its last good renewal was sent; it looks first, as its write may have been done."""
    one = leader()
    one.failed(2)
    assert one.act(4) == Read()
    one.failed(4)
    assert one.leads(9.9)
    assert not one.leads(10)


def test_what_is_given_back_is_ones_own():
    """And only with the version that it is known to have."""
    one = candidate()
    assert one.release() is None
    one = leader()
    assert one.release() == Write("8", 3, is_renewal=True)
    one.failed(2)
    assert one.release() == Read()
    one.saw(record("you"), "9", 3)
    assert one.release() is None


@pytest.mark.parametrize("timing", [(10, 10, 2), (15, 10, 10), (15, 10, 0), (5, 10, 2)])
def test_times_that_are_not_safe_are_refused(timing):
    """A leader has to stop before others begin."""
    with pytest.raises(ValueError, match="duration > deadline > period > 0"):
        Timing(*timing)
