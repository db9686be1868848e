"""The one way to a Kubernetes cluster: client, kinds of objects, labels, and the loop of an update.

Invariant: no other part of Detour imports a Kubernetes library or calls an API server by itself.
"""
