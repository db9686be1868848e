"""What OpenTelemetry's instrumentation loses, library by library.

Each module has one function, `mend(module)`, which is called once, when the service has imported the library.

Invariant: a mend adds the baggage of a request to what is there, and takes nothing away; without overrides a
library does what it did.
"""
