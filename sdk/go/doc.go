// Package detour propagates the overrides of a service's requests to its calls, and applies those for the service
// itself.
//
// [Install] puts a propagator in front of OpenTelemetry's. From then on [Current] returns the overrides of a
// request's context, [Flag] and [NewProvider] evaluate `override.config.*`, and a [NewHandler] applies
// `override.log.*`.
//
// Overrides are OpenTelemetry baggage: other code can find them there, and passing a context on passes them on.
// Nothing that a request carries makes this package panic or return an error; unreadable overrides are ignored and
// logged once.
package detour
