package detour_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	detour "detour.dev/sdk/go"
)

// As Detour's Python and its sidecar's Lua write them.
const (
	withOverrides = "EmcJAAAAAAAAAAARAAAAAAAAAAAYACJRCglvdmVycmlkZXMSRENoUUtDM0p2ZFhSbExuVnpaWEp6RWdWd2NpMDBNZ29aQ2c5amIyNW1hV2N1WjNKbFpYUnBibWNTQm1keXc3ekRudz09"
	idsAndItems   = "SgF4EiMJAAECAwQFBgcRCAkKCwwNDg8YASINCghjdXN0b21lchIBNw=="
	idsAndUsers   = "SgF4ElIJAAECAwQFBgcRCAkKCwwNDg8YASINCghjdXN0b21lchIBNyItCglvdmVycmlkZXMSIENoUUtDM0p2ZFhSbExuVnpaWEp6RWdWd2NpMDBNZz09"
)

func openTracing(header, baggage string) context.Context {
	return extracted(http.Header{"X-Ot-Span-Context": {header}, "Baggage": {baggage}})
}

func openTracingSent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	detour.NewPropagator(w3c()).Inject(ctx, carrier)
	return carrier["x-ot-span-context"]
}

func TestOverridesOfOpenTracingCount(t *testing.T) {
	for _, header := range []string{withOverrides, strings.TrimRight(withOverrides, "=")} {
		expected := "override.config.greeting=gr%C3%BC%C3%9F,override.route.users=pr-42"
		if got := detour.Current(openTracing(header, "")).String(); got != expected {
			t.Error(got)
		}
	}
}

func TestOverridesOfBaggageCountOverThoseOfOpenTracing(t *testing.T) {
	ctx := openTracing(withOverrides, "team=a,override.route.users=pr-1")
	expected := "override.config.greeting=gr%C3%BC%C3%9F,override.route.users=pr-1"
	if got := detour.Current(ctx).String(); got != expected {
		t.Error(got)
	}
}

func TestOpenTracingGoesOnWithTheOverrides(t *testing.T) {
	if got := openTracingSent(openTracing(idsAndItems, "override.route.users=pr-42")); got != idsAndUsers {
		t.Error(got)
	}
}

func TestOpenTracingWithoutOverridesGoesOnAsItCame(t *testing.T) {
	if got := openTracingSent(openTracing(idsAndItems, "team=a")); got != idsAndItems {
		t.Error(got)
	}
}

func TestOverridesThatAreNoLongerThereLeaveOpenTracing(t *testing.T) {
	if got := openTracingSent(detour.With(openTracing(idsAndUsers, ""), detour.Overrides{})); got != idsAndItems {
		t.Error(got)
	}
}

func TestOpenTracingGoesOnOnlyWhereItCameIn(t *testing.T) {
	if got := openTracingSent(detour.With(context.Background(), parsed(t, "users=pr-42"))); got != "" {
		t.Error(got)
	}
}

func TestWhatIsNoOpenTracingIsIgnored(t *testing.T) {
	truncated, _ := base64.StdEncoding.DecodeString(idsAndUsers)
	for _, header := range []string{
		"!", "AAAA", strings.Repeat("A", 10_000), "EgU=",
		base64.StdEncoding.EncodeToString(truncated[:len(truncated)-3]),
		strings.Replace(idsAndUsers, "UlkeXM", "####", 1) + "*",
	} {
		ctx := openTracing(header, "override.route.rides=pr-7")
		if got := detour.Current(ctx).String(); got != "override.route.rides=pr-7" {
			t.Errorf("%.40s: %s", header, got)
		}
		if got := openTracingSent(ctx); got != "" {
			t.Errorf("%.40s goes on as %s", header, got)
		}
	}
}

func TestOpenTracingNeverBecomesTooLong(t *testing.T) {
	words := []string{"config.a=" + strings.Repeat("x", 5000)}
	ctx := detour.With(openTracing(idsAndItems, ""), parsed(t, words...))
	if got := openTracingSent(ctx); got != idsAndItems {
		t.Errorf("%d bytes", len(got))
	}
}
