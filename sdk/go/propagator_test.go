package detour_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"

	detour "detour.dev/sdk/go"
)

// sent returns the baggage with which a request with this baggage goes on.
func sent(t *testing.T, baggage ...string) string {
	t.Helper()
	headers := http.Header{}
	detour.NewPropagator(w3c()).Inject(extracted(http.Header{"Baggage": baggage}), propagation.HeaderCarrier(headers))
	if len(headers["Baggage"]) > 1 {
		t.Fatalf("%d lines of baggage", len(headers["Baggage"]))
	}
	return headers.Get("baggage")
}

// logged returns what is logged by the default logger while f runs.
func logged(t *testing.T, f func()) string {
	t.Helper()
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	f()
	return log.String()
}

// The tests that need OpenTelemetry's global propagator set it once: it can't be put back to none.
func TestMain(m *testing.M) {
	detour.Install()
	m.Run()
}

func TestInstallWithoutAPropagatorMeansTraceContextAndBaggage(t *testing.T) {
	fields := otel.GetTextMapPropagator().Fields()
	for _, expected := range []string{"traceparent", "tracestate", "baggage", "x-ot-span-context"} {
		if !slices.Contains(fields, expected) {
			t.Errorf("%s is not among %v", expected, fields)
		}
	}
}

func TestInstallingAgainChangesNothing(t *testing.T) {
	before := otel.GetTextMapPropagator()
	detour.Install()
	if otel.GetTextMapPropagator() != before {
		t.Error("another propagator is installed")
	}
}

func TestInstallKeepsWhatIsConfigured(t *testing.T) {
	before := otel.GetTextMapPropagator()
	defer otel.SetTextMapPropagator(before)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	detour.Install()
	if got := otel.GetTextMapPropagator().Fields(); !slices.Equal(got, []string{"baggage", "traceparent", "tracestate", "x-ot-span-context"}) {
		t.Errorf("fields %v", got)
	}
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(detour.With(context.Background(), parsed(t, "users=pr-42")), carrier)
	if carrier["baggage"] != "override.route.users=pr-42" {
		t.Errorf("without OpenTelemetry's baggage %q leaves", carrier["baggage"])
	}
}

func TestOverridesStandBehindOtherPeoplesBaggage(t *testing.T) {
	if got := sent(t, "override.route.users=pr-42,team=a%20b;ttl=5"); got != "team=a%20b;ttl=5,override.route.users=pr-42" {
		t.Error(got)
	}
}

func TestBaggageThatIsWrittenByHandStays(t *testing.T) {
	headers := http.Header{"Baggage": {"team = a;x, override.route.users=pr-1", "tier=gold"}}
	ctx := detour.With(context.Background(), parsed(t, "users=pr-42"))
	detour.NewPropagator(w3c()).Inject(ctx, propagation.HeaderCarrier(headers))
	if got := headers["Baggage"]; !slices.Equal(got, []string{"team = a;x,tier=gold,override.route.users=pr-42"}) {
		t.Errorf("%q", got)
	}
}

func TestWithoutOverridesBaggageIsOpenTelemetrysAlone(t *testing.T) {
	if got := sent(t, "team=a"); got != "team=a" {
		t.Error(got)
	}
	if got := sent(t); got != "" {
		t.Error(got)
	}
}

func TestAYoungerKindGoesOnAsOtherBaggageDoes(t *testing.T) {
	if got := sent(t, "override.teleport.users=moon,override.route.users=pr-42"); got != "override.route.users=pr-42,override.teleport.users=moon" {
		t.Error(got)
	}
}

func TestAFlagIsWrittenAsEveryReaderUnderstandsIt(t *testing.T) {
	if got := sent(t, "override.config.sum=1+1%20%3D%202%C3%BC~"); got != "override.config.sum=1%2B1%20%3D%202%C3%BC~" {
		t.Error(got)
	}
}

func TestAnOverrideThatWasEncodedCounts(t *testing.T) {
	if got := sent(t, "override%2Eroute.users=%70r%252D42,team=a"); got != "team=a,override.route.users=pr-42" {
		t.Error(got)
	}
}

func TestWhatCannotBeReadGoesOn(t *testing.T) {
	for baggage, expected := range map[string]string{
		`override.route.users="pr-42"`:                                            "override.route.users=%22pr-42%22",
		"team=a,override.route.users,override.missing=basline":                    "team=a,override.missing=basline,override.route.users=",
		"override.route.users=pr 42,override.route.rides=pr-7":                    "override.route.rides=pr-7,override.route.users=pr%2042",
		"override.route.a=b,override.route.users=pr-42,override.route.users=\xff": "override.route.a=b,override.route.users=%EF%BF%BD",
	} {
		if got := sent(t, baggage); got != expected {
			t.Errorf("%.60q left as %q", baggage, got)
		}
	}
}

func TestARequestWithoutBaggageKeepsWhatTheContextHas(t *testing.T) {
	ctx := detour.With(context.Background(), parsed(t, "users=pr-42"))
	ctx = detour.NewPropagator(w3c()).Extract(ctx, propagation.MapCarrier{})
	if _, ok := detour.Current(ctx).Route("users"); !ok {
		t.Error("the override is gone")
	}
}

func TestARequestsBaggageReplacesWhatTheContextHas(t *testing.T) {
	ctx := detour.With(context.Background(), parsed(t, "users=pr-42"))
	ctx = detour.NewPropagator(w3c()).Extract(ctx, propagation.MapCarrier{"baggage": "override.route.rides=pr-7"})
	if got := detour.Current(ctx).String(); got != "override.route.rides=pr-7" {
		t.Error(got)
	}
}

func TestTooLongBaggageLosesOtherPeoplesLastEntries(t *testing.T) {
	first, last := "first="+strings.Repeat("x", 4000), "last="+strings.Repeat("y", 4170)
	ctx := detour.With(context.Background(), parsed(t, "users=pr-42"))
	headers := http.Header{"Baggage": {first + "," + last}}
	log := logged(t, func() { detour.NewPropagator(w3c()).Inject(ctx, propagation.HeaderCarrier(headers)) })
	if got := headers.Get("baggage"); got != first+",override.route.users=pr-42" {
		t.Errorf("%d bytes: %.20s...", len(got), got)
	}
	if !strings.Contains(log, "last=") {
		t.Errorf("it is not reported: %q", log)
	}
}

func TestBaggageMayBeAsLongAsOneHeader(t *testing.T) {
	own := ",override.route.users=pr-42"
	foreign := "pad=" + strings.Repeat("x", 8192-len(own)-len("pad="))
	headers := http.Header{"Baggage": {foreign}}
	detour.NewPropagator(w3c()).Inject(detour.With(context.Background(), parsed(t, "users=pr-42")), propagation.HeaderCarrier(headers))
	if got := headers.Get("baggage"); got != foreign+own {
		t.Errorf("%d bytes", len(got))
	}
}

func TestOverridesAreNeverLeftOut(t *testing.T) {
	var words []string
	for i := range 70 {
		words = append(words, fmt.Sprintf("config.flag-%02d=%s", i, strings.Repeat("x", i*4)))
	}
	carrier := propagation.MapCarrier{}
	detour.NewPropagator(w3c()).Inject(detour.With(context.Background(), parsed(t, words...)), carrier)
	if got := strings.Count(carrier["baggage"], "="); got != 70 {
		t.Errorf("%d overrides in %d bytes", got, len(carrier["baggage"]))
	}
}

func TestWhatIsIgnoredIsToldOnce(t *testing.T) {
	baggage := http.Header{"Baggage": {"override.route.reported-once=!"}}
	log := logged(t, func() { extracted(baggage); extracted(baggage) })
	if strings.Count(log, "reported-once") != 1 {
		t.Errorf("%q", log)
	}
}

func TestOneRequestIsToldOfInOneLine(t *testing.T) {
	var members []string
	for i := range 60 {
		members = append(members, fmt.Sprintf("override.route.flood-%d=!", i))
	}
	log := logged(t, func() { extracted(http.Header{"Baggage": members}) })
	if strings.Count(log, "\n") != 1 || len(log) > 1000 {
		t.Errorf("%d lines, %d bytes", strings.Count(log, "\n"), len(log))
	}
}

func TestRequestsAtTheSameTimeKeepTheirOwnOverrides(t *testing.T) {
	var all sync.WaitGroup
	for i := range 1000 {
		all.Add(1)
		go func() {
			defer all.Done()
			own := fmt.Sprintf("override.route.users=pr-%d", i)
			if got := sent(t, own); got != own {
				t.Errorf("%s left as %s", own, got)
			}
		}()
	}
	all.Wait()
}

func TestGoroutinesOfARequestShareItsContext(t *testing.T) {
	ctx := extracted(http.Header{"Baggage": {"override.route.users=pr-42,override.log.rides=debug"}})
	var all sync.WaitGroup
	for range 50 {
		all.Add(1)
		go func() {
			defer all.Done()
			inner := detour.With(ctx, parsed(t, "rides=pr-7"))
			if got := detour.Current(inner).String(); got != "override.route.rides=pr-7" {
				t.Error(got)
			}
			if route, _ := detour.Current(ctx).Route("users"); route != "pr-42" {
				t.Error(route)
			}
			_ = baggage.FromContext(ctx).String()
		}()
	}
	all.Wait()
}
