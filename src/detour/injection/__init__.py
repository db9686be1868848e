"""Sidecar injection, for the admission webhook and for `detour inject`.

Invariant: pure functions on plain JSON data. Injecting twice has the same result as once.
"""

from detour.injection.patch import patch
from detour.injection.pod import inject
from detour.injection.resources import Resources
from detour.injection.review import namespace_of, review, trial
from detour.injection.service_name import SelectingService, service_of
from detour.injection.settings import LOG_LEVELS, InjectionSettings, Mode

__all__ = [
    "LOG_LEVELS",
    "InjectionSettings",
    "Mode",
    "Resources",
    "SelectingService",
    "inject",
    "namespace_of",
    "patch",
    "review",
    "service_of",
    "trial",
]
