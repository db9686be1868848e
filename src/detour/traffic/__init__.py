"""What Envoys say that they did: who called what lately, and the hops of a request that somebody tries out.

Invariant: everything but `reports` is pure. Whatever an Envoy reports raises nothing, and memory has an end: what
is too much is forgotten, the oldest first.
"""
