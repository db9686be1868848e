"""Sidecar injection, for the admission webhook and for `detour inject`.

Invariant: pure functions on plain JSON data. Injecting twice has the same result as once.
"""

from detour.injection.patch import patch
from detour.injection.pod import inject, service_of
from detour.injection.review import review, trial
from detour.injection.settings import InjectionSettings, Mode

__all__ = ["InjectionSettings", "Mode", "inject", "patch", "review", "service_of", "trial"]
