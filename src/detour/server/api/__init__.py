"""The HTTP API, version 1.

Invariant: a thin adapter over `ControlPlane`. Every error is a problem document (RFC 9457) that says what to do.
"""

from detour.server.api.app import api

__all__ = ["api"]
