"""Many requests in random order, by clients of many kinds, while everything that may change changes.

Deployments come and go, a scenario is edited, the server, sidecars and edges are ended in good order (SIGTERM) and
started again. Each answer is held against what its request named: another one is the wrong code, none is a failure.

A client whose connection is refused during a restart tries another address, as with any service. Such attempts are
counted, but not as failures. Clients run with the lowest priority (`nice`): in a mesh they do not share cores with
the server.
"""

from bench.soak.measuring import measure

__all__ = ["measure"]
