// Package detour has a service pass on the overrides that its requests carry, and act on those that are for itself.
//
// [Install] puts a propagator in front of OpenTelemetry's. From then on [Current] says what a request's context
// carries, [Flag] and [NewProvider] answer for `override.config.*`, and a [NewHandler] logs as `override.log.*` asks.
//
// Overrides are OpenTelemetry baggage: other code finds them there, and whoever passes a context on passes them on.
// Nothing that a request carries makes this package panic or return an error; what can't be read is ignored, and
// logged once.
package detour
