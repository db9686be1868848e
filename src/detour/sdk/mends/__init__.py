"""Mends: patches of libraries where OpenTelemetry's instrumentation loses overrides.

Each module has one function, `mend(module)`, which is called once, when the service has imported the library.

Invariant: a mend adds a request's baggage and removes nothing. Without overrides a library behaves as before.
"""
