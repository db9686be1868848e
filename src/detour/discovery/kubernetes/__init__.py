"""Kubernetes as a source of the mesh: Services, EndpointSlices and Pods, listed once and then watched.

Invariant: while the API server is away, or refuses, the mesh stays as it was.
"""

from detour.discovery.kubernetes.following import Discovery, Timing

__all__ = ["Discovery", "Timing"]
