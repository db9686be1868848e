"""The OpenFeature provider, behind OpenFeature's own client."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderFatalError
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from openfeature.hook import Hook, HookContext
from openfeature.provider import FeatureProvider, ProviderStatus
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from openfeature.track import TrackingEventDetails

from detour.overrides import Kind, Override, Overrides
from detour.sdk import using
from detour.sdk.openfeature import OverrideProvider

VECTORS = json.loads((Path(__file__).parents[2] / "sdk/vectors/flags.json").read_text(encoding="utf-8"))
DEFAULTS = {"boolean": False, "string": "default", "integer": -1, "float": -0.5, "object": {"default": True}}
OTHERS = {"boolean": True, "string": "behind", "integer": 7, "float": 7.5, "object": {"behind": True}}


class Recording(InMemoryProvider):
    """OpenFeature's in-memory provider, which also notes what it is told."""

    def __init__(self) -> None:
        super().__init__({name: InMemoryFlag("on", {"on": value}) for name, value in OTHERS.items()})
        self.told: list[str] = []
        self.awaited: list[str] = []
        self.hooks: list[Hook] = []

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        self.told.append("initialize")

    def shutdown(self) -> None:
        self.told.append("shutdown")

    def get_provider_hooks(self) -> list[Hook]:
        return self.hooks

    async def resolve_boolean_details_async(self, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(0)
        self.awaited.append("boolean")
        return self.resolve_boolean_details(*args, **options)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        assert tracking_event_details is not None
        self.told.append(f"track {tracking_event_name} {tracking_event_details.value}")


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Leave OpenFeature without providers."""
    yield
    api.clear_providers()


@pytest.fixture
def behind() -> Recording:
    """The team's own provider."""
    return Recording()


def client(provider: FeatureProvider | None) -> OpenFeatureClient:
    """Return a client of overrides in front of a provider."""
    api.set_provider_and_wait(OverrideProvider(provider))
    return api.get_client()


def asked(client: OpenFeatureClient, kind: str, flag: str) -> FlagEvaluationDetails[Any]:
    """Ask for a flag's value and all that is known of it; the asynchronous way has to say the same."""
    details = getattr(client, f"get_{kind}_details")(flag, DEFAULTS[kind])
    assert asyncio.run(getattr(client, f"get_{kind}_details_async")(flag, DEFAULTS[kind])) == details
    return details


def says(flag: str, text: str) -> Overrides:
    """Return the overrides of a request in which a flag has this text."""
    return Overrides.collect([Override(Kind.CONFIG, flag, text)])


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{case['type']} {case['text']!r}")
def test_requests_answer_first_as_in_every_language(case: dict[str, Any], behind: Recording) -> None:
    """The vectors that all SDKs share."""
    kind = case["type"]
    app = client(behind)
    with using(says(kind, case["text"])):
        details = asked(app, kind, kind)
    if "error" in case:
        assert details.value == DEFAULTS[kind]
        assert (details.reason, details.error_code) == (Reason.ERROR, ErrorCode(case["error"]))
        assert details.error_message.startswith("expected ")
    else:
        assert details.value == case["value"]
        assert type(details.value) is type(case["value"])
        assert (details.reason, details.variant) == (Reason.TARGETING_MATCH, "override")
        assert details.error_code is None


@pytest.mark.parametrize("kind", OTHERS)
def test_what_the_request_does_not_say_the_teams_own_provider_does(kind: str, behind: Recording) -> None:
    """With its own reason and variant."""
    app = client(behind)
    with using("config.something-else=on", "users=pr-42"):
        details = asked(app, kind, kind)
    assert (details.value, details.reason, details.variant) == (OTHERS[kind], Reason.STATIC, "on")


@pytest.mark.parametrize("kind", OTHERS)
def test_without_another_provider_it_is_the_default(kind: str) -> None:
    """By default."""
    details = asked(client(None), kind, kind)
    assert (details.value, details.reason, details.error_code) == (DEFAULTS[kind], Reason.DEFAULT, None)


def test_a_text_without_a_value_is_told_once(behind: Recording, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked for."""
    app = client(behind)
    with using(says("boolean", "perhaps, told once")):
        for _ in range(3):
            assert app.get_boolean_value("boolean", False) is False
    (told,) = (line for line in caplog.messages if "perhaps, told once" in line)
    assert told.endswith("is ignored: expected true, on, 1, false, off or 0")


def test_the_other_providers_life_goes_on(behind: Recording) -> None:
    """It is made ready, tracks, and is shut down."""
    app = client(behind)
    app.track("checkout", tracking_event_details=TrackingEventDetails(9.5))
    api.shutdown()
    assert behind.told == ["initialize", "track checkout 9.5", "shutdown"]


def test_its_events_are_this_ones(behind: Recording) -> None:
    """Whoever listens to the client knows no other provider."""
    seen: list[EventDetails] = []
    app = client(behind)
    app.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, seen.append)
    app.add_handler(ProviderEvent.PROVIDER_STALE, seen.append)
    behind.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=["boolean"]))
    behind.emit_provider_stale(ProviderEventDetails(message="late"))
    wait_for(lambda: len(seen) == 2)
    assert {(one.provider_name, one.message) for one in seen} == {
        ("Detour overrides, then In-Memory Provider", None),
        ("Detour overrides, then In-Memory Provider", "late"),
    }
    assert app.get_provider_status() is ProviderStatus.STALE


def test_after_its_end_it_sends_no_events(behind: Recording) -> None:
    """Nor does the other one, through it."""
    seen: list[EventDetails] = []
    app = client(behind)
    app.add_handler(ProviderEvent.PROVIDER_STALE, seen.append)
    api.shutdown()
    behind.emit_provider_stale(ProviderEventDetails())
    assert not seen


def test_a_provider_that_cannot_start_says_so() -> None:
    """As without overrides in front of it."""

    class Failing(Recording):
        def initialize(self, evaluation_context: EvaluationContext) -> None:
            raise ProviderFatalError("no key")

    with pytest.raises(ProviderFatalError):
        client(Failing())
    assert api.get_client().get_provider_status() is ProviderStatus.FATAL


def test_its_hooks_run(behind: Recording) -> None:
    """For all flags."""
    seen: list[str] = []

    class Noting(Hook):
        def after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: Any) -> None:
            seen.append(f"{hook_context.flag_key}={details.value} {details.variant}")

    behind.hooks.append(Noting())
    app = client(behind)
    app.get_integer_value("integer", 0)
    with using("config.integer=42"):
        app.get_integer_value("integer", 0)
    assert seen == ["integer=7 on", "integer=42 override"]


def test_it_is_awaited_where_the_service_awaits(behind: Recording) -> None:
    """Its own asynchronous way, not the other one."""
    app = client(behind)

    async def ask() -> list[bool]:
        with using("config.boolean=off"):
            overridden = await app.get_boolean_value_async("boolean", True)
        return [overridden, await app.get_boolean_value_async("boolean", False)]

    assert asyncio.run(ask()) == [False, True]
    assert behind.awaited == ["boolean"]


def test_concurrent_requests_do_not_mix(behind: Recording) -> None:
    """As tasks of one loop."""
    app = client(behind)

    async def serve(number: int) -> int:
        with using(f"config.integer={number}"):
            await asyncio.sleep(0)
            return await app.get_integer_value_async("integer", -1)

    async def all_served() -> list[int]:
        return await asyncio.gather(*map(serve, range(200)))

    assert asyncio.run(all_served()) == list(range(200))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds: OpenFeature runs handlers on threads."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it does not hold"
        time.sleep(0.001)
