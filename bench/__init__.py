"""What Detour costs and how fast it is, measured on real Envoys: `python -m bench`, or `make bench`.

One module a measurement; each says exactly what it measures and what its target is. Nothing here is a test: a
number that misses its target is reported, never raised.
"""
