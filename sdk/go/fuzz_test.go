package detour_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	detour "detour.dev/sdk/go"
)

// FuzzRequest sends a service what it will, and has it use everything that it finds. Nothing panics, and what leaves is
// what was read.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][3]string{
		{"", "", ""},
		{"override.route.users=pr-42", "team=a", withOverrides},
		{"=,;;;,%zz=%zz,\"quoted\"=x,a b=c", "override.config.flag=%", idsAndUsers},
		{"override.config.flag=%F", "override.config.flag=%FF,override.config.flag", "!"},
		{"override.config.flag=[[[[", "override.config.flag=1e999", "AAAA"},
		{"override.,override..,override...=", "override.route..=a", "//////////8="},
		{"override.log.rides=debug-99999999999999999999", "override.delay.a=99999s", "Ev////8P"},
		{"\x00\xff\xfe,override.config.\xff=\xff", "\u202e=\u202e", "\x00"},
		{strings.Repeat("a=b,", 4000), strings.Repeat("x", 9000), strings.Repeat("A", 9000)},
		{strings.Repeat("override.config.f=%C3%BC,", 300), "override.missing", "EgA="},
	} {
		f.Add(seed[0], seed[1], seed[2])
		f.Add(seed[0], seed[1], base64.StdEncoding.EncodeToString([]byte(seed[2])))
	}
	silence(f)
	f.Fuzz(func(t *testing.T, first, second, openTracing string) {
		ctx := extracted(http.Header{"Baggage": {first, second}, "X-Ot-Span-Context": {openTracing}})
		use(ctx)
		sent := http.Header{}
		detour.NewPropagator(w3c()).Inject(ctx, propagation.HeaderCarrier(sent))
		before, after := byKey(detour.Current(ctx)), byKey(detour.Current(extracted(sent)))
		if !maps.Equal(before, after) {
			t.Errorf("%v left as %v", before, after)
		}
	})
}

// silence drops what is logged of the input, and what OpenTelemetry says of it.
func silence(f *testing.F) {
	before := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	f.Cleanup(func() { slog.SetDefault(before) })
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
}

func use(ctx context.Context) {
	detour.Flag(ctx, "flag", false)
	detour.Flag(ctx, "flag", "")
	detour.Flag(ctx, "flag", 0)
	detour.Flag(ctx, "flag", 0.0)
	detour.FlagObject(ctx, "flag", map[string]any{})
	detour.FlagObject(ctx, "flag", []int{})
	detour.Database(ctx, "rides", "main")
	detour.NewHandler(slog.DiscardHandler, "rides").Enabled(ctx, slog.LevelDebug)
	for one := range detour.Current(ctx).All() {
		detour.Current(ctx).Value(one.Kind, one.Subject)
	}
}
