"""The traffic of the mesh, as Envoys report it: recent calls between services, and the hops of trial requests.

Invariant: everything but `reports` is pure. No report of an Envoy raises an exception, and memory is bounded: the
oldest data is dropped first.
"""
