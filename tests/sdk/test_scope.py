"""How long overrides count: for the request, and a bounded time behind it, whatever carries them on."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagate import extract, get_global_textmap, inject, set_global_textmap

from detour.overrides import Overrides, parse_words, write_opentracing
from detour.sdk import carried, current, detached, under_carried, using
from detour.sdk.logs import flights
from detour.sdk.logs import install as install_logs
from detour.sdk.propagator import OverridesPropagator, entered
from detour.sdk.scope import Scope, after_response

PR_42 = {"baggage": "team=rides,override.route.users=pr-42"}


@pytest.fixture(autouse=True)
def propagators() -> Iterator[None]:
    """Set up the propagator for a test."""
    others = get_global_textmap()
    set_global_textmap(OverridesPropagator(others))
    yield
    set_global_textmap(others)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have overrides end with the response."""
    monkeypatch.setenv("DETOUR_AFTER_RESPONSE", "0")


def leaving() -> dict[str, str]:
    """Return the headers of a call that is made now."""
    headers: dict[str, str] = {}
    inject(headers)
    return headers


def test_work_keeps_overrides_for_a_time_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reads or sends them; other people's baggage goes on."""
    monkeypatch.setenv("DETOUR_AFTER_RESPONSE", "1h")
    scope = Scope(seen=True)
    context = entered({**PR_42, "x-ot-span-context": write_opentracing(None, parse_words(["users=pr-42"]))}, scope)
    assert context is not None
    token = attach(baggage.set_baggage("team", "rides", context))
    try:
        scope.complete()
        assert current().route("users") == "pr-42"
        assert parse_words(["users=pr-42"]) == current()
        monkeypatch.setenv("DETOUR_AFTER_RESPONSE", "0")
        assert (current(), carried()) == (Overrides(), {})
        left = leaving()
        assert left["baggage"] == "team=rides"
        assert "override" not in str(left)
    finally:
        detach(token)


def test_the_end_does_not_come_before_the_response(at_once: None) -> None:
    """However long the request takes."""
    with under_carried(PR_42):
        assert current()
        behind = contextvars.copy_context()
    assert not behind.run(current)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 60),
        ("60", 60),
        ("60s", 60),
        (" 1.5 ", 1.5),
        ("500ms", 0.5),
        ("2m", 120),
        ("2 m", 120),
        ("1h", 3600),
        ("0", 0),
    ],
)
def test_the_time_is_a_setting(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    """Seconds, or with a unit."""
    monkeypatch.setenv("DETOUR_AFTER_RESPONSE", text)
    assert after_response() == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "1e3", "nan", "60 seconds", "٣"])
def test_a_time_that_cannot_be_read_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """And is 60 s."""
    monkeypatch.setenv("DETOUR_AFTER_RESPONSE", text)
    assert (after_response(), after_response()) == (60, 60)
    assert [record.message for record in caplog.records] == [
        f"DETOUR_AFTER_RESPONSE={text} is ignored: expected a time such as 60, 60s or 500ms; using 60 s"
    ]


def test_one_line_names_the_thread(at_once: None, caplog: pytest.LogCaptureFixture) -> None:
    """By its name, and by where its code is; however often it asks."""

    def refresh() -> None:
        assert not context.run(current)
        assert not context.run(current)

    with under_carried(PR_42):
        context = contextvars.copy_context()
    thread = threading.Thread(target=refresh, name="refresher")
    thread.start()
    thread.join()
    (line,) = (record.message for record in caplog.records)
    assert line.startswith(f"thread 'refresher' ({__file__}:")
    assert "refresh) outlived its request by more than 0 s: it no longer carries override.route.users=pr-42" in line
    assert "detour.sdk.detached()" in line


async def test_one_line_names_the_task(at_once: None, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each place in the code: a loop may start a task each time."""

    async def refresh() -> None:
        await asyncio.sleep(0)
        assert not current()

    with under_carried(PR_42):
        loops = [asyncio.create_task(refresh(), name=f"refresher-{number}") for number in range(3)]
    await asyncio.gather(*loops)
    (line,) = (record.message for record in caplog.records)
    assert line.startswith(f"task 'refresher-0' ({__file__}:")
    assert "refresh)" in line


async def test_one_line_names_a_callback(at_once: None, caplog: pytest.LogCaptureFixture) -> None:
    """Of an event loop, which is in no task."""
    called = asyncio.Event()

    def refresh() -> None:
        assert not current()
        called.set()

    with under_carried(PR_42):
        asyncio.get_running_loop().call_later(0.001, refresh)
    await called.wait()
    (line,) = (record.message for record in caplog.records)
    assert "refresh) outlived its request" in line


def test_a_request_starts_afresh() -> None:
    """Also where an earlier one's overrides are current still, such as in a thread that it started."""
    with under_carried(PR_42):
        assert "override.route.users" not in baggage.get_all(extract({}))
        other = extract({"baggage": "override.route.rides=pr-7"})
        assert set(baggage.get_all(other)) & {"override.route.users", "override.route.rides"} == {
            "override.route.rides"
        }
        context = entered({}, Scope(seen=True))
        assert context is not None
        assert "override.route.users" not in baggage.get_all(context)


def test_what_cannot_be_read_is_in_scope_too(at_once: None) -> None:
    """It goes on, so that the next sidecar refuses it, and ends with the request."""
    scope = Scope(seen=True)
    context = entered({"baggage": "override.delay.users=soon"}, scope)
    assert context is not None
    token = attach(context)
    try:
        assert leaving() == {"baggage": "override.delay.users=soon"}
        scope.complete()
        assert "override" not in str(leaving())
        assert not [key for key in baggage.get_all(extract({}, get_current())) if key.startswith("override.")]
    finally:
        detach(token)


def test_a_request_that_is_read_twice_is_one(at_once: None) -> None:
    """By the SDK, and by OpenTelemetry's middleware behind it."""
    scope = Scope(seen=True)
    context = entered(PR_42, scope)
    assert context is not None
    outer = attach(context)
    inner = attach(extract(PR_42))
    assert current()
    scope.complete()
    assert not current()
    detach(inner)
    detach(outer)


def test_an_end_that_cannot_be_seen_comes_for_others(at_once: None) -> None:
    """Not for the thread that read the headers, which may take its time."""
    token = attach(extract(PR_42))
    seen: list[Overrides] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: seen.append(context.run(current)))
    thread.start()
    thread.join()
    assert seen == [Overrides()]
    assert current()
    detach(token)


async def test_an_end_that_cannot_be_seen_comes_for_other_tasks(at_once: None) -> None:
    """Each task is one, though all run in the same thread."""
    token = attach(extract(PR_42))

    async def other() -> Overrides:
        return current()

    assert not await asyncio.create_task(other())
    assert current()
    detach(token)


def test_a_block_is_a_scope_too(at_once: None) -> None:
    """What it leaves behind ends; a request that is made in process within it is part of it."""
    with using("users=pr-42"):
        behind = contextvars.copy_context()
        assert "override.route.users" in baggage.get_all(extract({}))
    assert not behind.run(current)
    assert not baggage.get_all(behind.run(extract, {}))


def test_detached_has_no_overrides_nor_has_what_it_starts() -> None:
    """Other people's baggage stays; around it everything is as it was."""
    with under_carried(PR_42):
        with detached():
            assert not current()
            assert leaving()["baggage"] == "team=rides"
            with using("users=pr-7"):
                assert current().route("users") == "pr-7"
        assert current().route("users") == "pr-42"


async def test_detached_decorates_functions_and_coroutines() -> None:
    """Whenever they are called, also at the same time; generators are refused."""

    @detached()
    def function() -> Overrides:
        return current()

    @detached()
    async def coroutine(waiting: asyncio.Event) -> Overrides:
        await waiting.wait()
        return current()

    with under_carried(PR_42):
        waiting = asyncio.Event()
        both = [asyncio.ensure_future(coroutine(waiting)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting.set()
        assert [function(), *await asyncio.gather(*both)] == [Overrides()] * 3
        assert current()

    def generator() -> Iterator[None]:
        yield

    with pytest.raises(TypeError, match="generator is a generator"):
        detached()(generator)


def test_a_log_level_ends_with_the_others(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so does what it costs other requests."""
    install_logs()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "rides")
    with under_carried({"baggage": "override.log.rides=debug"}):
        behind = contextvars.copy_context()
        assert flights.level() == logging.DEBUG
    assert behind.run(flights.level) == flights.NONE
    assert not flights.any_alive()


def test_context_of_nobody_is_left_alone() -> None:
    """Requests without overrides make nothing."""
    assert entered({}, Scope(seen=True)) is None
    assert entered({"baggage": "team=rides"}, Scope(seen=True)) is None
    assert get_current() == Context()
