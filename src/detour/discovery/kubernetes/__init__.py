"""Kubernetes as a source of the mesh: Services, EndpointSlices and Pods, listed once and then watched.

Invariant: while the API server does not answer, or refuses, the mesh does not change.
"""

from detour.discovery.kubernetes.following import Discovery, Timing

__all__ = ["Discovery", "Timing"]
