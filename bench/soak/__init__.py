"""Many requests in random order, by clients of many kinds, while everything that may change changes.

Deployments come and go, a scenario is edited, the server, sidecars and edges are ended in good order (SIGTERM) and
started again. Each answer is held against what its request named: another one is the wrong code, none is a failure.

A client that finds nobody at an address that is being restarted asks elsewhere, as it would of any service; that is
counted, and is no failure.
"""

from bench.soak.measuring import measure

__all__ = ["measure"]
