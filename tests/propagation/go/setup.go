package main

import (
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"

	detour "detour.dev/sdk/go"
)

// setUp sets OpenTelemetry up as its documentation says, with or without Detour's SDK.
func setUp() {
	otel.SetTracerProvider(trace.NewTracerProvider())
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	if hasSDK() {
		detour.Install()
	}
}

func hasSDK() bool {
	return os.Getenv("DETOUR_SDK") == "on"
}
