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

// carrying returns a header whose item for overrides is this.
func carrying(item string) string {
	entry := "\x0a\x09overrides\x12" + string(rune(len(item))) + item
	inner := "\x22" + string(rune(len(entry))) + entry
	return base64.StdEncoding.EncodeToString([]byte("\x12" + string(rune(len(inner))) + inner))
}

func TestWhatIsNoOpenTracingIsIgnored(t *testing.T) {
	for name, header := range map[string]string{
		"no base64":                        "!",
		"no message":                       "AAAA",
		"too long":                         strings.Repeat("A", 10_000),
		"a context that is not a message":  base64.StdEncoding.EncodeToString([]byte("\x12\x01\x07")),
		"an item that is not an entry":     base64.StdEncoding.EncodeToString([]byte("\x12\x03\x22\x01\x07")),
		"a length of over 32 bits":         base64.StdEncoding.EncodeToString([]byte("\x12\x80\x80\x80\x80\x80\x01")),
		"an unused wire type":              base64.StdEncoding.EncodeToString([]byte("\x0b\x01")),
		"a number that does not end":       base64.StdEncoding.EncodeToString([]byte("\x08\xff")),
		"a fixed number that is not whole": base64.StdEncoding.EncodeToString([]byte("\x0d\x01")),
	} {
		ctx := openTracing(header, "override.route.rides=pr-7")
		if got := detour.Current(ctx).String(); got != "override.route.rides=pr-7" {
			t.Errorf("%s: %s", name, got)
		}
		if got := openTracingSent(ctx); got != "" {
			t.Errorf("%s: %s goes on", name, got)
		}
	}
}

func TestOverridesThatCannotBeReadGoOnAsTheyCame(t *testing.T) {
	whole, _ := base64.StdEncoding.DecodeString(idsAndUsers)
	header := base64.StdEncoding.EncodeToString(whole[:len(whole)-3])
	ctx := openTracing(header, "override.route.rides=pr-7")
	if got := openTracingSent(ctx); got != header {
		t.Errorf("%q goes on", got)
	}
}

func TestAnEmptyItemCarriesNothing(t *testing.T) {
	if got := detour.Current(openTracing(carrying(""), "")).String(); got != "" {
		t.Error(got)
	}
}

func TestOpenTracingNeverBecomesTooLong(t *testing.T) {
	words := []string{"config.a=" + strings.Repeat("x", 5000)}
	ctx := detour.With(openTracing(idsAndItems, ""), parsed(t, words...))
	if got := openTracingSent(ctx); got != idsAndItems {
		t.Errorf("%d bytes", len(got))
	}
}
