"""The control plane's protocol: the resources that Envoys can request, and the stream that delivers them.

Invariant: all modules but `server` and its gRPC adapters are pure. A resource depends on its name and the mesh
only, so every Envoy that requests the same name receives the same bytes.
"""
