package detour_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	detour "detour.dev/sdk/go"
)

// deep returns a request's context as servers and middleware leave it.
func deep(ctx context.Context) context.Context {
	for i := range 8 {
		ctx = context.WithValue(ctx, fmt.Sprint("middleware ", i), i)
	}
	return ctx
}

func BenchmarkCurrent(b *testing.B) {
	five := "override.route.a=pr-1,override.route.b=pr-2,override.config.c=on,override.log.d=debug,override.db.e=copy"
	for name, header := range map[string]string{"without": "", "foreign": "team=a,tier=gold", "five": five} {
		ctx := deep(extracted(http.Header{"Baggage": {header}}))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				detour.Current(ctx).Route("b")
			}
		})
	}
}

func BenchmarkFlag(b *testing.B) {
	ctx := deep(extracted(http.Header{"Baggage": {"override.config.new-checkout=on"}}))
	for b.Loop() {
		detour.Flag(ctx, "new-checkout", false)
	}
}

// BenchmarkDebugBelowTheLevel compares a log call that logs nothing, on a request without overrides: with slog alone,
// with Detour, and with Detour while another request has a level of its own.
func BenchmarkDebugBelowTheLevel(b *testing.B) {
	plain := slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo})
	detours := detour.NewHandler(plain, "rides")
	ctx := deep(context.Background())
	awaitNoneInFlight(b)
	b.Run("slog", func(b *testing.B) { logBelow(b, ctx, plain) })
	b.Run("Detour", func(b *testing.B) { logBelow(b, ctx, detours) })
	other := asking("debug")
	b.Run("Detour, another request asks", func(b *testing.B) { logBelow(b, ctx, detours) })
	runtime.KeepAlive(other)
}

func logBelow(b *testing.B, ctx context.Context, handler slog.Handler) {
	logger := slog.New(handler)
	for i := 0; b.Loop(); i++ {
		logger.DebugContext(ctx, "ordered", "ride", i, "user", "u-7")
	}
}

func BenchmarkHop(b *testing.B) {
	for name, header := range map[string]string{"without": "", "foreign": "team=a", "one": "override.route.users=pr-42"} {
		for side, propagator := range map[string]propagation.TextMapPropagator{"OpenTelemetry": w3c(), "Detour": detour.NewPropagator(w3c())} {
			in := propagation.HeaderCarrier{"Baggage": {header}}
			if header == "" {
				in = propagation.HeaderCarrier{}
			}
			b.Run(name+"/"+side, func(b *testing.B) {
				for b.Loop() {
					propagator.Inject(propagator.Extract(context.Background(), in), propagation.HeaderCarrier{})
				}
			})
		}
	}
}
