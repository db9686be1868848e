"""What a service imports: its overrides travel on with every call, and it can act on those that are for itself.

    import detour.sdk

    detour.sdk.install()

    if detour.sdk.flag("new-checkout", default=False): ...

Invariant: importing this imports OpenTelemetry's API and the standard library, nothing else; and nothing that a
request carries raises into the service that serves it.
"""

from detour.sdk.carriage import carried, under_carried
from detour.sdk.detachment import detached
from detour.sdk.flags import flag
from detour.sdk.installation import install
from detour.sdk.request import current, using

__all__ = ["carried", "current", "detached", "flag", "install", "under_carried", "using"]
