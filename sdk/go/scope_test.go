package detour_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"

	detour "detour.dev/sdk/go"
)

const deadline = 10 * time.Second

// served serves one request with this baggage by detour.Handler, and returns when the client has its answer.
func served(t *testing.T, baggage string, handle func(r *http.Request)) {
	t.Helper()
	handler := func(_ http.ResponseWriter, r *http.Request) { handle(r) }
	server := httptest.NewServer(detour.Handler(http.HandlerFunc(handler)))
	defer server.Close()
	request, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("baggage", baggage)
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

// until waits for a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

func route(ctx context.Context) string {
	found, _ := detour.Current(ctx).Route("users")
	return found
}

func left(ctx context.Context) string {
	headers := http.Header{}
	detour.NewPropagator(w3c()).Inject(ctx, propagation.HeaderCarrier(headers))
	return headers.Get("baggage")
}

func TestWorkThatOutlivesItsRequestKeepsOverridesForATime(t *testing.T) {
	var kept context.Context
	served(t, "team=a,override.route.users=pr-42", func(r *http.Request) {
		kept = context.WithoutCancel(detour.NewPropagator(w3c()).Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
	})
	if route(kept) != "pr-42" || left(kept) != "team=a,override.route.users=pr-42" {
		t.Error("it has lost them at once")
	}
	t.Setenv("DETOUR_AFTER_RESPONSE", "0")
	var warnings string
	warnings = logged(t, func() {
		until(t, "its overrides end", func() bool { return route(kept) == "" })
		route(kept)
	})
	if left(kept) != "team=a" {
		t.Errorf("what leaves is %q, expected team=a", left(kept))
	}
	if strings.Count(warnings, "outlived its request by more than 0s: it no longer carries override.route.users=pr-42") != 1 ||
		!strings.Contains(warnings, "scope_test.go") {
		t.Errorf("the warnings are %q", warnings)
	}
}

func TestOverridesCountAsLongAsTheHandlerRuns(t *testing.T) {
	t.Setenv("DETOUR_AFTER_RESPONSE", "0")
	served(t, "override.route.users=pr-42", func(r *http.Request) {
		if route(r.Context()) != "pr-42" {
			t.Error("it has lost them while it runs")
		}
	})
}

func TestAMessageStartsAfresh(t *testing.T) {
	t.Setenv("DETOUR_AFTER_RESPONSE", "0")
	detour.Install()
	var consumer context.Context
	served(t, "override.route.users=pr-42", func(r *http.Request) { consumer = context.WithoutCancel(r.Context()) })
	ctx, cancel := context.WithCancel(consumer)
	message := detour.ExtractTable(ctx, map[string]any{"baggage": "override.route.users=message"})
	none := detour.ExtractTable(ctx, nil)
	if route(message) != "message" || route(none) != "" {
		t.Errorf("messages have %q and %q", route(message), route(none))
	}
	cancel()
	until(t, "the message's overrides end", func() bool { return route(message) == "" })
}

func TestWhatIsNeverDoneCountsForATimeFromNow(t *testing.T) {
	t.Setenv("DETOUR_AFTER_RESPONSE", "0")
	if ctx := extracted(http.Header{"Baggage": {"override.route.users=pr-42"}}); route(ctx) != "pr-42" {
		t.Error("it has lost them at once")
	}
}

func TestDetachedLeavesAllElse(t *testing.T) {
	ctx := extracted(http.Header{"Baggage": {"team=a,override.route.users=pr-42"}})
	if detached := detour.Detached(ctx); left(detached) != "team=a" || route(ctx) != "pr-42" {
		t.Errorf("what leaves is %q", left(detached))
	}
	if plain := context.Background(); detour.Detached(plain) != plain {
		t.Error("a context without overrides is another one")
	}
}

func TestTheTimeIsReadAsInAllLanguages(t *testing.T) {
	for text, expected := range map[string]time.Duration{
		"": time.Minute, "60": time.Minute, "60s": time.Minute, "1.5": 1500 * time.Millisecond,
		"500ms": 500 * time.Millisecond, "2m": 2 * time.Minute, "0": 0, "soon": time.Minute,
	} {
		t.Setenv("DETOUR_AFTER_RESPONSE", text)
		if found := detour.AfterResponse(); found != expected {
			t.Errorf("%q is %v, expected %v", text, found, expected)
		}
	}
}
