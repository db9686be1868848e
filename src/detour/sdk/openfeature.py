"""An OpenFeature provider: flags have the current request's values, otherwise those of the team's own provider.

    api.set_provider(OverrideProvider(FlagdProvider()))

A text that is not a value of the requested type results in the default, with OpenFeature's error code.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, FeatureProvider, Metadata
from openfeature.provider.no_op_provider import NoOpProvider
from openfeature.track import TrackingEventDetails

from detour.overrides import Kind, Override, OverrideProblem
from detour.sdk.flags import FlagError, read_object, reader
from detour.sdk.request import current, report_problems

T = TypeVar("T")

_Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]
_Emit = Callable[[FeatureProvider, ProviderEvent, ProviderEventDetails], None]

_VARIANT = "override"


class OverrideProvider(AbstractProvider):
    """Resolves `override.config.<flag>` of the current request, and delegates everything else to another provider.

    Args:
        next: The team's own provider. Without it, flags that the request does not set have their defaults.
    """

    def __init__(self, next: FeatureProvider | None = None) -> None:  # noqa: A002
        super().__init__()
        self._next = next or NoOpProvider()
        self._name = "Detour overrides" + (f", then {next.get_metadata().name}" if next else "")

    def get_metadata(self) -> Metadata:
        """Return a name that includes the other provider's."""
        return Metadata(self._name)

    def get_provider_hooks(self) -> list[Hook]:
        """Return the other provider's hooks; they also run for flags that the request sets."""
        return self._next.get_provider_hooks()

    def attach(self, on_emit: _Emit) -> None:
        """Forward the other provider's events as this one's, because listeners only know this one."""
        super().attach(on_emit)
        self._next.attach(lambda _, event, details: self.emit(event, details))

    def detach(self) -> None:
        """Stop forwarding events."""
        self._next.detach()
        super().detach()

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Initialize the other provider; an exception that it raises determines the provider's state."""
        self._next.initialize(evaluation_context)

    def shutdown(self) -> None:
        """Shut the other provider down."""
        self._next.shutdown()

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Delegate tracking to the other provider."""
        self._next.track(tracking_event_name, evaluation_context, tracking_event_details)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Return the flag as a boolean."""
        return _overridden(flag_key, reader(bool), default_value) or self._next.resolve_boolean_details(
            flag_key, default_value, evaluation_context
        )

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Return the same; the other provider may be asynchronous."""
        return _overridden(flag_key, reader(bool), default_value) or await self._next.resolve_boolean_details_async(
            flag_key, default_value, evaluation_context
        )

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return the flag as a text."""
        return _overridden(flag_key, reader(str), default_value) or self._next.resolve_string_details(
            flag_key, default_value, evaluation_context
        )

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return the same; the other provider may be asynchronous."""
        return _overridden(flag_key, reader(str), default_value) or await self._next.resolve_string_details_async(
            flag_key, default_value, evaluation_context
        )

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Return the flag as an integer."""
        return _overridden(flag_key, reader(int), default_value) or self._next.resolve_integer_details(
            flag_key, default_value, evaluation_context
        )

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Return the same; the other provider may be asynchronous."""
        return _overridden(flag_key, reader(int), default_value) or await self._next.resolve_integer_details_async(
            flag_key, default_value, evaluation_context
        )

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Return the flag as a number."""
        return _overridden(flag_key, reader(float), default_value) or self._next.resolve_float_details(
            flag_key, default_value, evaluation_context
        )

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Return the same; the other provider may be asynchronous."""
        return _overridden(flag_key, reader(float), default_value) or await self._next.resolve_float_details_async(
            flag_key, default_value, evaluation_context
        )

    def resolve_object_details(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        """Return the flag as a JSON object or array."""
        return _overridden(flag_key, read_object, default_value) or self._next.resolve_object_details(
            flag_key, default_value, evaluation_context
        )

    async def resolve_object_details_async(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        """Return the same; the other provider may be asynchronous."""
        return _overridden(flag_key, read_object, default_value) or await self._next.resolve_object_details_async(
            flag_key, default_value, evaluation_context
        )


def _overridden(key: str, read: Callable[[str], Any], default: T) -> FlagResolutionDetails[T] | None:
    """Return the value of a flag in the current request; None if the request does not set it."""
    text = current().value(Kind.CONFIG, key)
    if text is None:
        return None
    try:
        return FlagResolutionDetails(read(text), reason=Reason.TARGETING_MATCH, variant=_VARIANT)
    except FlagError as error:
        report_problems((OverrideProblem(f"{Override(Kind.CONFIG, key, text).key}={text}", str(error)),))
        return FlagResolutionDetails(
            default, error_code=ErrorCode(error.fault), error_message=str(error), reason=Reason.ERROR
        )
