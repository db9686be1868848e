"""The control plane's protocol: what an Envoy may ask for, what it is answered, and the stream that carries both.

Invariant: everything but `server` is pure. A resource depends on its name and the mesh alone, so every Envoy
that asks for the same name gets the same bytes.
"""
