package detour_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"

	detour "detour.dev/sdk/go"
)

func TestCurrentWithoutARequestIsNone(t *testing.T) {
	for name, ctx := range map[string]context.Context{"nil": nil, "background": context.Background()} {
		overrides := detour.Current(ctx)
		if route, ok := overrides.Route("users"); ok || route != "" {
			t.Errorf("%s: route %q", name, route)
		}
		for one := range overrides.All() {
			t.Errorf("%s: %v", name, one)
		}
	}
}

func TestCurrentSeesWhatOtherCodePutsIntoBaggage(t *testing.T) {
	member, err := baggage.NewMemberRaw("override.route.users", "pr-42")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx := baggage.ContextWithBaggage(context.Background(), bag)
	if route, ok := detour.Current(ctx).Route("users"); !ok || route != "pr-42" {
		t.Errorf("route %q, %v", route, ok)
	}
}

func TestOtherCodeFindsOverridesInBaggage(t *testing.T) {
	ctx := detour.With(context.Background(), parsed(t, "config.greeting=grüß 🚕, 1+1; a=b"))
	if got := baggage.FromContext(ctx).Member("override.config.greeting").Value(); got != "grüß 🚕, 1+1; a=b" {
		t.Errorf("the baggage has %q", got)
	}
}

func TestValuesThatNoReaderUnderstandsAreNone(t *testing.T) {
	member, err := baggage.NewMemberRaw("override.route.users", "http://10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	if route, ok := detour.Current(baggage.ContextWithBaggage(context.Background(), bag)).Route("users"); ok {
		t.Errorf("route %q", route)
	}
}

func TestWithReplacesOverridesAndKeepsOtherBaggage(t *testing.T) {
	bag, err := baggage.Parse("team=rides,override.route.users=pr-1,override.route.rides=pr-2")
	if err != nil {
		t.Fatal(err)
	}
	ctx := baggage.ContextWithBaggage(context.Background(), bag)
	ctx = detour.With(ctx, parsed(t, "users=pr-42"))
	if got := byKey(detour.Current(ctx)); !maps.Equal(got, map[string]string{"override.route.users": "pr-42"}) {
		t.Errorf("overrides %v", got)
	}
	if got := baggage.FromContext(ctx).Member("team").Value(); got != "rides" {
		t.Errorf("team %q", got)
	}
}

func TestParseReadsTheShortNotation(t *testing.T) {
	for word, expected := range map[string]string{
		"users=pr-42":                "override.route.users=pr-42",
		"route.users=pr-42":          "override.route.users=pr-42",
		"override.route.users=pr-42": "override.route.users=pr-42",
		"users.v2=pr-42":             "override.route.users.v2=pr-42",
		"delay.payments=300ms":       "override.delay.payments=300ms",
		"abort.payments=503":         "override.abort.payments=503",
		"config.new-checkout=on":     "override.config.new-checkout=on",
		"config.greeting=a b":        "override.config.greeting=a%20b",
		"log.rides=debug":            "override.log.rides=debug",
		"db.rides=copy":              "override.db.rides=copy",
		"missing=baseline":           "override.missing=baseline",
	} {
		if got := parsed(t, word).String(); got != expected {
			t.Errorf("%s is %s, expected %s", word, got, expected)
		}
	}
}

func TestParseSaysWhichWordIsNoOverride(t *testing.T) {
	for word, expected := range map[string]string{
		"users":            "expected SERVICE=DEPLOYMENT",
		"users=":           "expected letters",
		"=pr-42":           "expected a name behind override.route.",
		"delay.users=soon": "expected a delay",
		"abort.users=99":   "expected an HTTP status",
		"missing=else":     "expected override.missing=baseline",
		"log=pr-42":        "for a service called log: route.log=pr-42",
	} {
		_, err := detour.Parse("rides=pr-1", word)
		if err == nil || !strings.Contains(err.Error(), expected) || !strings.Contains(err.Error(), "is not an override") {
			t.Errorf("%q: %v, expected %q", word, err, expected)
		}
	}
}

func TestOfTwoWordsWithOneKeyTheLaterCounts(t *testing.T) {
	if got := parsed(t, "users=pr-1", "users=pr-2").String(); got != "override.route.users=pr-2" {
		t.Error(got)
	}
}
