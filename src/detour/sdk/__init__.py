"""The SDK for services: it propagates a request's overrides to all calls, and applies those for the service itself.

    import detour.sdk

    detour.sdk.install()

    if detour.sdk.flag("new-checkout", default=False): ...

Invariant: importing this package imports OpenTelemetry's API and the standard library, nothing else. Nothing that a
request carries raises an exception in the service.
"""

from detour.sdk.carriage import carried, under_carried
from detour.sdk.detachment import detached
from detour.sdk.flags import flag
from detour.sdk.installation import install
from detour.sdk.request import current, using

__all__ = ["carried", "current", "detached", "flag", "install", "under_carried", "using"]
